/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The structs and constants of a VMA archive, version 1, as Proxmox VE's tools
 * write and read it.  Layout only: see header.c and extent.c for the codec.
 *
 * Integers are big-endian, but for the length of a blob, which is little-endian.
 * No value of one of these structs may leave the codec unconverted.
 *
 *   archive:  header, blob buffer, extents; the end of the file ends it
 *   extent:   header, then the stored 4 KiB blocks of up to 59 clusters
 *   blob:     u16 length (little-endian), bytes; offsets count from the start
 *             of the blob buffer, where the first blob stands at offset 1,
 *             because 0 means "none"; a name includes its final NUL
 */
#ifndef VMA_FORMAT_H
#define VMA_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define VMA_MAGIC "VMA"                 /* with its NUL */
#define VMA_EXTENT_MAGIC "VMAE"
#define VMA_VERSION 1

#define VMA_BLOCK_BYTES 4096u
#define VMA_CLUSTER_BYTES 65536u
#define VMA_BLOCKS_PER_CLUSTER 16u
#define VMA_CLUSTERS_PER_EXTENT 59u
#define VMA_DEVICES 256u                /* slots; ids 1 to 254 are used */
#define VMA_CONFIGS 256u
#define VMA_BLOB_MAX_BYTES 65535u
#define VMA_HEADER_ALIGN 512u
/* More than 256 configs and 254 names of the largest size can fill. */
#define VMA_HEADER_MAX_BYTES (64u << 20)
/* A cluster number has 32 bits. */
#define VMA_DEVICE_MAX_BYTES (UINT64_C(1) << 48)

/* The device that holds a guest's memory; its size is only an estimate. */
#define VMA_VMSTATE_NAME "vmstate"

typedef struct VmaDeviceInfo {
    uint32_t name;              /* blob offset */
    uint32_t reserved1;
    uint64_t size_bytes;
    uint64_t reserved2[2];
} __attribute__((packed)) VmaDeviceInfo;
static_assert(sizeof(VmaDeviceInfo) == 32, "VMA device info");

typedef struct VmaHeader {
    uint8_t magic[4];           /* VMA_MAGIC */
    uint32_t version;           /* VMA_VERSION */
    uint8_t uuid[16];           /* every extent repeats it */
    int64_t ctime_s;            /* since the epoch */
    uint8_t md5[16];            /* over header_size bytes, this field zeroed */
    uint32_t blob_buffer_offset;
    uint32_t blob_buffer_size;  /* end of the last blob, from the start */
    uint32_t header_size;       /* multiple of 512 where we write it */
    uint8_t reserved1[1984];    /* ignored by readers; see digest.h */
    uint32_t config_names[VMA_CONFIGS];         /* blob offsets, 0: unused */
    uint32_t config_data[VMA_CONFIGS];          /* blob offsets, 0: unused */
    uint8_t reserved2[4];
    VmaDeviceInfo devices[VMA_DEVICES];         /* indexed by device id */
} __attribute__((packed)) VmaHeader;
static_assert(sizeof(VmaHeader) == 12288, "VMA header");
static_assert(offsetof(VmaHeader, md5) == 32, "VMA header");
static_assert(offsetof(VmaHeader, config_names) == 2044, "VMA header");
static_assert(offsetof(VmaHeader, devices) == 4096, "VMA header");

typedef struct VmaBlockInfo {
    uint16_t mask;              /* bit i: block i of the cluster is stored */
    uint8_t reserved;           /* ignored by readers; see digest.h */
    uint8_t device_id;          /* 0: entry unused */
    uint32_t cluster_number;
} __attribute__((packed)) VmaBlockInfo;
static_assert(sizeof(VmaBlockInfo) == 8, "VMA block info");

typedef struct VmaExtentHeader {
    uint8_t magic[4];           /* VMA_EXTENT_MAGIC */
    uint16_t reserved;          /* readers refuse anything but 0 */
    uint16_t block_count;       /* stored blocks that follow */
    uint8_t uuid[16];           /* that of the archive */
    uint8_t md5[16];            /* over these 512 bytes, this field zeroed */
    VmaBlockInfo blockinfo[VMA_CLUSTERS_PER_EXTENT];
} __attribute__((packed)) VmaExtentHeader;
static_assert(sizeof(VmaExtentHeader) == 512, "VMA extent header");
static_assert(offsetof(VmaExtentHeader, blockinfo) == 40, "VMA extent header");

#define VMA_EXTENT_MAX_BYTES \
    (sizeof(VmaExtentHeader) + VMA_CLUSTERS_PER_EXTENT * VMA_CLUSTER_BYTES)
static_assert(VMA_EXTENT_MAX_BYTES == 3867136, "VMA extent");

#endif /* VMA_FORMAT_H */
