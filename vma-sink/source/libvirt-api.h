/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libvirt's library, loaded when it is needed: who has no libvirt needs no
 * library of it, and the programs that never talk to it don't load it.
 */
#ifndef SOURCE_LIBVIRT_API_H
#define SOURCE_LIBVIRT_API_H

#include <glib.h>
#include <stdbool.h>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

/* What is used of it; all of it is in libvirt 6.0. */
#define LIBVIRT_FUNCTIONS(X) \
    X(virInitialize) \
    X(virSetErrorFunc) \
    X(virGetLastErrorCode) \
    X(virGetLastErrorMessage) \
    X(virConnectOpen) \
    X(virConnectClose) \
    X(virConnectRef) \
    X(virConnectGetType) \
    X(virConnectGetURI) \
    X(virConnectGetVersion) \
    X(virConnectIsAlive) \
    X(virDomainLookupByName) \
    X(virDomainLookupByUUIDString) \
    X(virDomainGetUUIDString) \
    X(virDomainGetID) \
    X(virDomainRef) \
    X(virDomainFree) \
    X(virDomainGetState) \
    X(virDomainGetTime) \
    X(virDomainGetXMLDesc) \
    X(virDomainGetBlockInfo) \
    X(virDomainBackupBegin) \
    X(virDomainBackupGetXMLDesc) \
    X(virDomainAbortJob) \
    X(virDomainFSFreeze) \
    X(virDomainFSThaw) \
    X(virDomainResume)

typedef struct LibvirtApi {
#define LIBVIRT_MEMBER(name) __typeof__(name) *name;
    LIBVIRT_FUNCTIONS(LIBVIRT_MEMBER)
#undef LIBVIRT_MEMBER
} LibvirtApi;

/* Loads it, once.  NULL where there is none, or one that is too old. */
const LibvirtApi *libvirt_api_load(GError **error);

#endif /* SOURCE_LIBVIRT_API_H */
