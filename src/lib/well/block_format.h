/*
 * What writing and reading of blocks of entries share and nobody else sees.
 */
#ifndef WELL_BLOCK_FORMAT_H
#define WELL_BLOCK_FORMAT_H

#define BLOCK_MAGIC_1 0x31425141u /* "AQB1" */
#define BLOCK_MAGIC_2 0x32425141u /* "AQB2" */
#define BLOCK_RAW_BYTES_MAX (UINT32_C(192) << 20)

enum { COLUMNS, DATA, ENUMERATED, PARTS };

#endif
