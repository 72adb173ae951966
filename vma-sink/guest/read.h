/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of guest_new(): each takes its settings out of a configuration and
 * puts what they say into the guest.
 */
#ifndef GUEST_READ_H
#define GUEST_READ_H

#include "guest/config.h"
#include "guest/guest.h"

typedef struct GuestReader {
    Guest *guest;
    GuestConfig *config;
    const BackupInfo *info;
    const char *folder;
    GuestNotes *notes;
    GHashTable *used;           /* names of the archive's disks with a place */
} GuestReader;

/* Name, machine, memory, clock, firmware: before all others. */
bool guest_read_machine(GuestReader *reader, GError **error);
void guest_read_cpu(GuestReader *reader);
void guest_read_disks(GuestReader *reader);
void guest_read_nics(GuestReader *reader);
void guest_read_devices(GuestReader *reader);
/* After those that can be booted from. */
void guest_read_boot(GuestReader *reader);

/* Notes what of the value of KEY was not taken, if anything. */
void guest_read_rest(GuestReader *reader, const char *key,
                     const GuestSettings *settings);

/*
 * The archive's disk that KEY, such as scsi0, stands for, and its file, to be
 * freed; NULL where there is none.
 */
const BackupDevice *guest_read_device(GuestReader *reader, const char *key);
char *guest_read_file(GuestReader *reader, const BackupDevice *device);

#endif /* GUEST_READ_H */
