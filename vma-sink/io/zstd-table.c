/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seek table of a zstd file between its bytes and a list of frames.
 * Everything in it is little-endian.
 */
#include "io/zstd-table.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#include "backup/error.h"
#include "io/io.h"

#define TABLE_MAGIC (IO_ZSTD_SKIPPABLE_MAGIC | 0xE)
#define FOOTER_MAGIC UINT32_C(0x8F92EAB1)

enum {
    FLAG_CHECKSUMS = 0x80,
    FLAGS_RESERVED = 0x7c,      /* the two lowest are to be ignored */
};

typedef struct TableHeader {
    uint32_t magic;             /* TABLE_MAGIC */
    uint32_t bytes;             /* of what follows in the frame */
} __attribute__((packed)) TableHeader;
static_assert(sizeof(TableHeader) == IO_ZSTD_SKIPPABLE_HEADER_BYTES,
              "seek table");

typedef struct TableEntry {
    uint32_t bytes;
    uint32_t content_bytes;
    /* With FLAG_CHECKSUMS four bytes more: of the content, by XXH64. */
} __attribute__((packed)) TableEntry;
static_assert(sizeof(TableEntry) == 8, "seek table");

typedef struct TableFooter {
    uint32_t frames;            /* how many entries, this frame has none */
    uint8_t flags;              /* FLAG_... */
    uint32_t magic;             /* FOOTER_MAGIC: the last bytes of the file */
} __attribute__((packed)) TableFooter;
static_assert(sizeof(TableFooter) == 9, "seek table");

#define CHECKSUM_BYTES 4
#define READ_ENTRIES 8192
/* A block has at least 4 bytes, and decompresses to 128 KiB at the most. */
#define RATIO_MAX UINT64_C(32768)

struct IoZstdTable {
    GArray *frames;             /* of IoZstdFrame */
    IoZstdFrame end;            /* both offsets: of a frame to come */
};

IoZstdTable *io_zstd_table_new(void)
{
    IoZstdTable *table = g_new0(IoZstdTable, 1);

    table->frames = g_array_new(FALSE, FALSE, sizeof(IoZstdFrame));
    return table;
}

void io_zstd_table_free(IoZstdTable *table)
{
    if (table) {
        g_array_unref(table->frames);
        g_free(table);
    }
}

uint32_t io_zstd_table_frames(const IoZstdTable *table)
{
    return table->frames->len;
}

IoZstdFrame io_zstd_table_frame(const IoZstdTable *table, uint32_t frame)
{
    g_assert(frame <= table->frames->len);
    return frame == table->frames->len
           ? table->end : g_array_index(table->frames, IoZstdFrame, frame);
}

/* The caller has seen to the number of frames. */
static void append(IoZstdTable *table, uint32_t bytes, uint32_t content_bytes)
{
    IoZstdFrame frame = table->end;

    frame.bytes = bytes;
    frame.content_bytes = content_bytes;
    g_array_append_val(table->frames, frame);
    table->end.offset += bytes;
    table->end.content_offset += content_bytes;
}

bool io_zstd_table_add(IoZstdTable *table, uint32_t bytes,
                       uint32_t content_bytes, GError **error)
{
    if (table->frames->len >= IO_ZSTD_TABLE_MAX_FRAMES) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "there is no room for more than %u frames in a seek table",
                    IO_ZSTD_TABLE_MAX_FRAMES);
        return false;
    }
    append(table, bytes, content_bytes);
    return true;
}

static TableEntry encode_entry(const IoZstdTable *table, uint32_t i)
{
    const IoZstdFrame *frame = &g_array_index(table->frames, IoZstdFrame, i);

    return (TableEntry) {
        .bytes = GUINT32_TO_LE(frame->bytes),
        .content_bytes = GUINT32_TO_LE(frame->content_bytes),
    };
}

void io_zstd_table_digest(const IoZstdTable *table, uint32_t frames,
                          uint8_t digest[16])
{
    XXH3_state_t *state = XXH3_createState();
    XXH128_canonical_t canonical;

    g_assert(frames <= table->frames->len);
    XXH3_128bits_reset(state);
    for (uint32_t i = 0; i < frames; i++) {
        TableEntry entry = encode_entry(table, i);

        XXH3_128bits_update(state, &entry, sizeof(entry));
    }
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    memcpy(digest, canonical.digest, sizeof(canonical.digest));
    XXH3_freeState(state);
}

GByteArray *io_zstd_table_encode(const IoZstdTable *table)
{
    uint32_t frames = table->frames->len;
    uint32_t bytes = frames * sizeof(TableEntry) + sizeof(TableFooter);
    GByteArray *out = g_byte_array_sized_new(sizeof(TableHeader) + bytes);
    TableHeader header = {
        .magic = GUINT32_TO_LE(TABLE_MAGIC),
        .bytes = GUINT32_TO_LE(bytes),
    };
    TableFooter footer = {
        .frames = GUINT32_TO_LE(frames),
        .magic = GUINT32_TO_LE(FOOTER_MAGIC),
    };

    g_byte_array_append(out, (uint8_t *)&header, sizeof(header));
    for (uint32_t i = 0; i < frames; i++) {
        TableEntry entry = encode_entry(table, i);

        g_byte_array_append(out, (uint8_t *)&entry, sizeof(entry));
    }
    g_byte_array_append(out, (uint8_t *)&footer, sizeof(footer));
    return out;
}

/* Exactly so many bytes, which the file has. */
static bool read_at(int fd, void *buffer, size_t bytes, uint64_t offset,
                    GError **error)
{
    size_t got;

    if (!io_pread(fd, buffer, bytes, offset, &got, error)) {
        g_prefix_error(error, "cannot read the seek table: ");
        return false;
    }
    if (got < bytes) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot read the seek table: the file is shorter than it "
                    "was");
        return false;
    }
    return true;
}

static bool set_bad(GError **error, const char *what)
{
    backup_error_set_damaged(error, "bad seek table: %s", what);
    return false;
}

/* What the footer says, against the file; *start is that of the frame. */
static bool check_footer(const TableFooter *footer, uint64_t file_bytes,
                         uint64_t *start, size_t *entry_bytes, GError **error)
{
    uint32_t frames = GUINT32_FROM_LE(footer->frames);
    uint64_t bytes;

    if (footer->flags & FLAGS_RESERVED) {
        return set_bad(error, "it has features that are not known");
    }
    if (frames > IO_ZSTD_TABLE_MAX_FRAMES) {
        return set_bad(error, "too many frames");
    }
    *entry_bytes = sizeof(TableEntry) +
                   (footer->flags & FLAG_CHECKSUMS ? CHECKSUM_BYTES : 0);
    bytes = sizeof(TableHeader) + frames * *entry_bytes + sizeof(TableFooter);
    if (bytes > file_bytes) {
        return set_bad(error, "it is larger than the file");
    }
    *start = file_bytes - bytes;
    return true;
}

static bool check_header(const TableHeader *header, uint64_t bytes,
                         GError **error)
{
    if (GUINT32_FROM_LE(header->magic) != TABLE_MAGIC) {
        return set_bad(error, "its frame does not begin where it should");
    }
    if (GUINT32_FROM_LE(header->bytes) != bytes - sizeof(TableHeader)) {
        return set_bad(error, "the size of its frame is wrong");
    }
    return true;
}

static bool read_entries(int fd, IoZstdTable *table, uint64_t start,
                         uint32_t frames, size_t entry_bytes, GError **error)
{
    g_autofree uint8_t *buffer = g_malloc(READ_ENTRIES * entry_bytes);
    uint64_t offset = start + sizeof(TableHeader);

    while (table->frames->len < frames) {
        uint32_t n = MIN(frames - table->frames->len, READ_ENTRIES);

        if (!read_at(fd, buffer, n * entry_bytes, offset, error)) {
            return false;
        }
        offset += n * entry_bytes;
        for (uint32_t i = 0; i < n; i++) {
            TableEntry entry;
            uint32_t bytes, content_bytes;

            memcpy(&entry, buffer + i * entry_bytes, sizeof(entry));
            bytes = GUINT32_FROM_LE(entry.bytes);
            content_bytes = GUINT32_FROM_LE(entry.content_bytes);
            append(table, bytes, content_bytes);
            if (bytes < IO_ZSTD_SKIPPABLE_HEADER_BYTES) {
                return set_bad(error, "it has a frame too small to be one");
            }
            if (content_bytes > bytes * RATIO_MAX) {
                return set_bad(error, "it has a frame too small for what it "
                               "is said to hold");
            }
        }
    }
    if (table->end.offset != start) {
        return set_bad(error, "its frames do not end where it begins");
    }
    return true;
}

bool io_zstd_table_read(int fd, uint64_t file_bytes, IoZstdTable **table,
                        GError **error)
{
    g_autoptr(IoZstdTable) found = io_zstd_table_new();
    TableFooter footer;
    TableHeader header;
    size_t entry_bytes;
    uint64_t start;

    *table = NULL;
    if (file_bytes < sizeof(header) + sizeof(footer)) {
        return true;
    }
    if (!read_at(fd, &footer, sizeof(footer), file_bytes - sizeof(footer),
                 error)) {
        return false;
    }
    if (GUINT32_FROM_LE(footer.magic) != FOOTER_MAGIC) {
        return true;
    }
    if (!check_footer(&footer, file_bytes, &start, &entry_bytes, error) ||
        !read_at(fd, &header, sizeof(header), start, error) ||
        !check_header(&header, file_bytes - start, error) ||
        !read_entries(fd, found, start, GUINT32_FROM_LE(footer.frames),
                      entry_bytes, error)) {
        return false;
    }
    *table = g_steal_pointer(&found);
    return true;
}

/* --- Frames without a table --- */

/* RFC 8878, 3.1.1: what has to be known of a frame to find its end. */
typedef struct FrameStart {
    bool skippable;
    bool checksum;
    uint64_t bytes;             /* of its header; of a skippable one, all */
    uint64_t content_bytes;
} FrameStart;

#define FRAME_START_BYTES 18u   /* the largest header */
#define BLOCK_HEADER_BYTES 3u
#define PEEK_BYTES 4096u
#define FRAME_CHECKSUM_BYTES 4u

/* Few bytes here and there, mostly close together: they are read by the page. */
typedef struct Peek {
    int fd;
    uint64_t file_bytes;
    uint64_t offset;            /* of what is in data */
    size_t bytes;
    uint8_t data[PEEK_BYTES];
} Peek;

/* BYTES bytes, few, which the file has; valid until the next call. */
static const uint8_t *peek_at(Peek *p, uint64_t offset, size_t bytes,
                              GError **error)
{
    if (offset < p->offset || offset + bytes > p->offset + p->bytes) {
        p->offset = offset;
        p->bytes = MIN(sizeof(p->data), p->file_bytes - offset);
        if (!read_at(p->fd, p->data, p->bytes, offset, error)) {
            p->bytes = 0;
            return NULL;
        }
    }
    return p->data + (offset - p->offset);
}

/* Looks at the first bytes of a frame.  False: it is none that can be used. */
static bool decode_start(const uint8_t *data, size_t bytes, FrameStart *start)
{
    static const uint8_t id_bytes[] = { 0, 1, 2, 4 };
    static const uint8_t size_bytes[] = { 0, 2, 4, 8 };
    uint32_t words[2];
    bool single;

    if (bytes < sizeof(words)) {
        return false;
    }
    memcpy(words, data, sizeof(words));
    *start = (FrameStart) { };
    if ((GUINT32_FROM_LE(words[0]) & ~0xfu) == IO_ZSTD_SKIPPABLE_MAGIC) {
        start->skippable = true;
        start->bytes = (uint64_t)GUINT32_FROM_LE(words[1]) + sizeof(words);
        return true;
    }
    start->content_bytes = ZSTD_getFrameContentSize(data, bytes);
    if (GUINT32_FROM_LE(words[0]) != ZSTD_MAGICNUMBER ||
        start->content_bytes == ZSTD_CONTENTSIZE_ERROR ||
        start->content_bytes == ZSTD_CONTENTSIZE_UNKNOWN) {
        return false;
    }
    single = data[4] & 0x20;
    start->checksum = data[4] & 4;
    start->bytes = 5 + !single + id_bytes[data[4] & 3] +
                   (data[4] >> 6 ? size_bytes[data[4] >> 6] : single);
    return true;
}

/* Where the blocks end that begin at *offset; false: that is not in the file. */
static bool pass_blocks(Peek *peek, uint64_t *offset, bool *found,
                        GError **error)
{
    uint32_t block;

    *found = false;
    do {
        const uint8_t *data;

        if (*offset + BLOCK_HEADER_BYTES > peek->file_bytes) {
            return true;
        }
        data = peek_at(peek, *offset, BLOCK_HEADER_BYTES, error);
        if (!data) {
            return false;
        }
        block = data[0] | data[1] << 8 | data[2] << 16;
        if ((block >> 1 & 3) == 3) {
            return true;
        }
        /* Of a block of one value only that is stored. */
        *offset += BLOCK_HEADER_BYTES +
                   ((block >> 1 & 3) == 1 ? 1 : block >> 3);
    } while (!(block & 1));
    *found = true;
    return true;
}

/* *found: whether a frame to be used begins at *offset, which it moves past. */
static bool find_frame(Peek *peek, uint64_t *offset, uint64_t *content_bytes,
                       bool *found, GError **error)
{
    size_t bytes = MIN(FRAME_START_BYTES, peek->file_bytes - *offset);
    const uint8_t *data = peek_at(peek, *offset, bytes, error);
    FrameStart start;

    *found = false;
    if (!data) {
        return false;
    }
    if (!decode_start(data, bytes, &start) ||
        start.content_bytes > *content_bytes) {
        return true;
    }
    *content_bytes = start.content_bytes;
    *offset += start.bytes;
    *found = true;
    if (!start.skippable) {
        if (!pass_blocks(peek, offset, found, error)) {
            return false;
        }
        *offset += start.checksum ? FRAME_CHECKSUM_BYTES : 0;
    } else if (*offset == peek->file_bytes) {
        *found = false;
    }
    *found = *found && *offset <= peek->file_bytes;
    return true;
}

bool io_zstd_table_find(int fd, uint64_t file_bytes,
                        uint32_t max_content_bytes, IoZstdTable **table,
                        GError **error)
{
    g_autoptr(IoZstdTable) t = io_zstd_table_new();
    Peek peek = { .fd = fd, .file_bytes = file_bytes };
    uint64_t offset = 0;

    *table = NULL;
    while (offset < file_bytes) {
        uint64_t content_bytes = max_content_bytes;
        bool found;

        if (!find_frame(&peek, &offset, &content_bytes, &found, error)) {
            return false;
        }
        if (!found || offset - t->end.offset > UINT32_MAX ||
            content_bytes > (offset - t->end.offset) * RATIO_MAX) {
            break;
        }
        if (!io_zstd_table_add(t, offset - t->end.offset, content_bytes,
                               error)) {
            return false;
        }
    }
    if (t->end.content_offset > 0) {
        *table = g_steal_pointer(&t);
        return true;
    }
    /* Of its first frame, with its size in it, all blocks so far were there. */
    if (offset + BLOCK_HEADER_BYTES > file_bytes) {
        backup_error_set_incomplete(error,
                                    "the file ends within its first frame");
    } else {
        backup_error_set_damaged(error, "no frames with their sizes in them");
    }
    return false;
}
