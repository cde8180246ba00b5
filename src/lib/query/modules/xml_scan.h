/*
 * Finds elements in an XML text by their paths, in one pass, without building a tree. Comments,
 * declarations and instructions are passed over; namespaces are part of names. Any depth, no
 * allocation. Pure.
 */
#ifndef QUERY_MODULES_XML_SCAN_H
#define QUERY_MODULES_XML_SCAN_H

#include "base/arena.h"
#include "base/span.h"

#define XML_SCAN_DEPTH_MAX 32

struct xml_path {
    struct span steps[XML_SCAN_DEPTH_MAX];
    size_t count;
};

struct xml_element {
    struct span attributes; /* of its tag, as written */
    struct span inner;
    bool leaf; /* no elements in it */
};

/* Calls `each` for every element of that path, in order, until it says false. Returns false when
 * the text is no XML as far as it was read. */
bool xml_scan(struct span text, const struct xml_path *path,
              bool (*each)(void *context, const struct xml_element *element), void *context);

bool xml_attribute(struct span attributes, struct span name, struct span *ret_value);

/* Character references and CDATA sections decoded. */
struct span xml_decode(struct span text, struct arena *arena);

#endif
