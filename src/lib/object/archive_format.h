/*
 * What writer and reader of backups know of their format, docs/formats/backup.md. Private to
 * archive.c and archive_read.c.
 */
#ifndef OBJECT_ARCHIVE_FORMAT_H
#define OBJECT_ARCHIVE_FORMAT_H

#include <sodium.h>

#include "base/hash.h"
#include "object/archive.h"

#define ARCHIVE_MAGIC SPAN_LIT("AQUIFERB")
#define ARCHIVE_HEADER_BYTES 72
#define ARCHIVE_ENCRYPTED 1
#define ARCHIVE_KEY_BYTES crypto_secretstream_xchacha20poly1305_KEYBYTES
#define ARCHIVE_SEAL_BYTES crypto_secretstream_xchacha20poly1305_ABYTES
#define ARCHIVE_HASH_BYTES 32
#define ARCHIVE_CHUNK_HEAD_BYTES 12
#define ARCHIVE_RECORD_HEAD_BYTES 9

#define ARCHIVE_PASSES 3
#define ARCHIVE_MEMORY_BYTES (UINT64_C(64) << 20)
#define ARCHIVE_PASSES_MAX 8
#define ARCHIVE_MEMORY_BYTES_MAX (UINT64_C(256) << 20)

/* ERR_UNAVAILABLE: no memory. */
MUST_CHECK int object_archive_key(const char *password, const uint8_t salt[crypto_pwhash_SALTBYTES],
                                  uint32_t passes, uint64_t memory_bytes,
                                  uint8_t ret_key[ARCHIVE_KEY_BYTES]);

#endif
