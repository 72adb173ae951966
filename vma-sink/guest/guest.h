/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest as its configuration describes it, with its disks as images that were
 * restored from the archive: what a program that starts guests needs to know.
 *
 * A configuration comes from anybody.  Of its texts only these come through, each
 * checked: names of CPU models and flags, serial numbers and the like, the
 * guest's name.  No path does: images are called as vma-restore extract calls
 * them, in a folder that the user has named.
 */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "backup/info.h"
#include "guest/notes.h"

typedef enum GuestBus {
    GUEST_BUS_IDE,
    GUEST_BUS_SATA,
    GUEST_BUS_SCSI,
    GUEST_BUS_VIRTIO,
} GuestBus;

/* NULL or 0 in what follows: nothing was said of it, unless noted otherwise. */
typedef struct GuestDisk {
    char *key;                  /* scsi0 */
    GuestBus bus;
    unsigned index;             /* 0 in scsi0; within the bus's limits */
    bool cdrom;
    char *file;                 /* NULL: a drive without a medium */
    const char *cache;          /* none, writeback ..., as QEMU's are called */
    const char *aio;
    const char *rerror;
    const char *werror;
    bool discard;
    bool detect_zeroes;
    bool ssd;
    bool iothread;
    bool read_only;
    uint64_t queues;
    char *serial;
    char *model;
    char *vendor;
    char *product;
    char *wwn;                  /* 0x and 16 digits */
    unsigned boot;              /* place in the order, from 1 */
} GuestDisk;

typedef struct GuestNic {
    char *key;                  /* net0 */
    unsigned index;
    const char *model;          /* as QEMU's devices are called */
    char *mac;
    uint64_t mtu;
    bool link_down;
    unsigned boot;
} GuestNic;

typedef struct GuestFlag {
    char *name;
    bool on;
} GuestFlag;

/* A NUMA node: CPUs FIRST to LAST. */
typedef struct GuestNode {
    unsigned first_cpu;
    unsigned last_cpu;
    uint64_t memory_mib;
} GuestNode;

typedef enum GuestScsi {
    GUEST_SCSI_LSI,
    GUEST_SCSI_LSI53C810,
    GUEST_SCSI_VIRTIO,
    GUEST_SCSI_VIRTIO_SINGLE,   /* a controller for each disk */
    GUEST_SCSI_MEGASAS,
    GUEST_SCSI_PVSCSI,
} GuestScsi;

typedef struct Guest {
    char *name;
    char *machine;              /* pc-i440fx-9.2; never NULL */
    bool q35;
    bool kvm;
    bool acpi;
    bool reboot;
    bool frozen;                /* does not run until it is told to */
    bool windows;
    bool no_hpet;
    bool local_time;
    bool drift_fix;
    bool tablet;

    unsigned sockets;
    unsigned cores;
    unsigned vcpus;             /* of sockets * cores those that are there */
    char *cpu_model;
    bool cpu_hidden;            /* that it is KVM */
    GArray *cpu_flags;          /* of GuestFlag */
    uint64_t memory_mib;
    bool balloon;
    uint64_t balloon_mib;       /* what it is to be at first, or 0 */
    GArray *nodes;              /* of GuestNode */

    bool uefi;
    bool uefi_4m;
    char *uefi_vars;            /* the image; NULL: none */
    uint64_t uefi_vars_bytes;   /* what of it is to be used */
    bool uefi_vars_longer;      /* than that */

    char *uuid;
    GPtrArray *smbios;          /* of char *: a name, its value, a name ... */
    bool generation_id;

    GuestScsi scsi;
    GPtrArray *disks;           /* of GuestDisk */
    GPtrArray *nics;            /* of GuestNic */
    bool serial[4];
    int vga_serial;             /* the one that is the console; -1: none */
    const char *vga;            /* std, qxl, virtio ...; NULL: none */
    uint64_t vga_mib;
    const char *keyboard;
    bool agent;
    bool agent_isa;
    bool rng;
    uint64_t rng_bytes;         /* in each period; 0: any */
    uint64_t rng_period_ms;
    const char *watchdog;
    const char *watchdog_action;
    const char *audio;          /* the device; its sound goes nowhere */
    const char *tpm;            /* 1.2 or 2.0: there is one */
    char *tpm_file;             /* NULL: none in the archive */
} Guest;

/*
 * Of the configuration in INFO called NAME.  FOLDER is where the disks are; NOTES
 * gets what is not translated.  NULL, of kind USAGE: there is no such
 * configuration, or it is of no PC; DAMAGED: it is no text.
 */
Guest *guest_new(const BackupInfo *info, const char *name, const char *folder,
                 GuestNotes *notes, GError **error);
void guest_free(Guest *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Guest, guest_free)

/* Whether its SCSI controllers have GUEST_LSI_DISKS disks each. */
#define GUEST_LSI_DISKS 7u
static inline bool guest_has_lsi(const Guest *guest)
{
    return guest->scsi == GUEST_SCSI_LSI ||
           guest->scsi == GUEST_SCSI_LSI53C810;
}

/* Which of them DISK is on: 0 is the first. */
static inline unsigned guest_scsi_number(const Guest *guest,
                                         const GuestDisk *disk)
{
    if (guest->scsi == GUEST_SCSI_VIRTIO_SINGLE) {
        return disk->index;
    }
    return guest_has_lsi(guest) ? disk->index / GUEST_LSI_DISKS : 0;
}

/* The firmware that it is booted with, where it has UEFI. */
const char *guest_firmware(const Guest *guest);

/* How a guest's networks are connected, and what else a printer is told. */
typedef struct GuestPrint {
    const char *bridge;         /* of this host; NULL: user networking */
    const char *folder;         /* for what is there while the guest runs */
    const char *here;           /* the working folder, absolute */
} GuestPrint;

/*
 * A command for the shell that starts the guest with QEMU, after NOTES, to which
 * they may add some, as comments.  To be freed.
 */
char *guest_print_qemu(const Guest *guest, const GuestPrint *print,
                       GuestNotes *notes);

/* The same as the XML of a domain for libvirt; files' paths are absolute. */
char *guest_print_libvirt(const Guest *guest, const GuestPrint *print,
                          GuestNotes *notes);

#endif /* GUEST_GUEST_H */
