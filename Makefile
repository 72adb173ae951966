# SPDX-License-Identifier: GPL-2.0-or-later
# Builds, tests and installs everything.  "make help" lists the targets.

B ?= build
prefix ?= /usr/local
bindir ?= $(prefix)/bin
mandir ?= $(prefix)/share/man
bashdir ?= $(prefix)/share/bash-completion/completions
zshdir ?= $(prefix)/share/zsh/site-functions
schemadir ?= $(prefix)/share/vma-sink/schema

# The QEMUs that are patched and tested: series of its releases.  The first one
# is built by "make qemu" and used by the demo.
QEMU_SERIES ?= 10.0 10.2

PROGRAMS = vma-dump vma-sink vma-restore
# Installed only by "make install-vma": the name is that of Proxmox's tool.
VMA = vma

# For who has nbdkit; the folder is where nbdkit looks for it.
HAVE_NBDKIT := $(shell pkg-config --exists nbdkit 2>/dev/null && echo yes)
nbdkit_plugindir ?= $(shell pkg-config --variable=plugindir nbdkit 2>/dev/null)
PLUGIN = $(if $(HAVE_NBDKIT),$(B)/nbdkit-vma-plugin.so)

PACKAGES = glib-2.0 json-glib-1.0 uuid zlib libxxhash libnbd libzstd

# Without it the programs confine themselves with Landlock alone.
HAVE_LIBSECCOMP := $(shell pkg-config --exists 'libseccomp >= 2.5' 2>/dev/null && echo yes)
ifeq ($(HAVE_LIBSECCOMP),yes)
PACKAGES += libseccomp
CONFINE_CFLAGS = -DHAVE_LIBSECCOMP
endif

# Without it vma-dump has no --libvirt.  Its library is loaded when it is used.
HAVE_LIBVIRT := $(shell pkg-config --exists 'libvirt >= 6.0' 2>/dev/null && echo yes)
ifeq ($(HAVE_LIBVIRT),yes)
LIBVIRT_CFLAGS := -DHAVE_LIBVIRT $(shell pkg-config --cflags libvirt)
LIBVIRT_LIBS = -ldl
endif

# The user's CFLAGS come last, so they win.
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu11 -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes \
	-Wstrict-prototypes -Wwrite-strings $(WERROR) -D_GNU_SOURCE \
	-fno-strict-aliasing -fPIC -fvisibility=hidden -Ivma-sink $(CONFINE_CFLAGS) \
	$(LIBVIRT_CFLAGS) $(PACKAGE_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = $(LDFLAGS)
WERROR ?= -Werror

# "make V=1" shows the commands.
ifeq ($(V),1)
Q =
say = :
else
Q = @
say = printf '  %-5s %s\n' $(1) $(2)
endif

# Missing ones are named, with their Debian packages, by the rule for flags.
PACKAGE_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PACKAGE_LIBS := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) $(LIBVIRT_LIBS)

MODULE_DIRS = backup io cli wire vma sink source guest restore proxmox confine
MODULES = $(filter-out $(if $(HAVE_LIBVIRT),,vma-sink/source/libvirt%),\
	$(wildcard $(MODULE_DIRS:%=vma-sink/%/*.c)))
UNIT_TESTS = $(wildcard tests/unit/test-*.c)

MODULE_OBJS = $(MODULES:%.c=$(B)/obj/%.o)
MAIN_OBJS = $(PROGRAMS:%=$(B)/obj/vma-sink/%.o) $(B)/obj/vma-sink/$(VMA).o
FUZZERS = $(patsubst tests/fuzz/fuzz-%.c,%,$(wildcard tests/fuzz/fuzz-*.c))
# Every checksum is right when fuzzing.
FUZZ_MODULES = $(filter-out vma-sink/wire/check.c vma-sink/vma/md5.c,$(MODULES))

UNIT_OBJS = $(UNIT_TESTS:%.c=$(B)/obj/%.o)
UNIT_PROGRAMS = $(UNIT_TESTS:tests/unit/%.c=$(B)/tests/%) \
	$(FUZZERS:%=$(B)/tests/test-replay-%)
PRELOADED = $(B)/tests/fault.so $(B)/tests/intruder.so
BENCH_PROGRAMS = $(patsubst tests/bench/%.c,$(B)/tests/%,\
	$(wildcard tests/bench/*.c))

.PHONY: all help setup check check-built check-asan check-faults check-fuzz \
	check-differential coverage demo-built check-unit check-cli check-qemu \
	check-libvirt demo \
	bench soak latency lint qemu qemu-tools install install-vma uninstall uninstall-vma \
	deb check-deb clean FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PROGRAMS:%=$(B)/%) $(B)/$(VMA) $(PLUGIN)
ifneq ($(HAVE_NBDKIT),yes)
	@echo 'not built: the plugin for nbdkit (that needs nbdkit-plugin-dev)'
endif
ifneq ($(HAVE_LIBSECCOMP),yes)
	@echo 'built without seccomp (that needs libseccomp-dev)'
endif
ifneq ($(HAVE_LIBVIRT),yes)
	@echo 'built without vma-dump --libvirt (that needs libvirt-dev)'
endif

help:
	@echo 'make              build the programs in $(B)/, and the plugin for nbdkit'
	@echo 'make demo         back up and restore a small running guest'
	@echo 'make check        run all tests, those of the patched QEMU included'
	@echo 'make check-unit check-cli check-qemu check-libvirt'
	@echo '                  run some of them'
	@echo 'make check-asan   the tests without QEMU, under ASan and UBSan'
	@echo 'make check-faults FAULTS ($(FAULTS)) faults of each kind, with a table of their ends'
	@echo 'make check-fuzz   fuzz for FUZZ_SECONDS ($(FUZZ_SECONDS)) each; needs clang'
	@echo 'make check-differential'
	@echo '                  streams and archives at random ($(DIFFERENTIAL_ROUNDS) each), by two'
	@echo '                  readers'
	@echo 'make coverage     which lines the unit tests and the corpus run'
	@echo 'make bench        measure speed and memory'
	@echo 'make soak         backups of busy disks for SOAK_MINUTES ($(SOAK_MINUTES))'
	@echo 'make latency      ... what a guest'"'"'s writes take meanwhile, as a graph'
	@echo 'make lint         static analysis'
	@echo 'make setup        install the Debian packages that all this needs'
	@echo 'make qemu         get, patch and build QEMU $(firstword $(QEMU_SERIES))'
	@echo 'make install      DESTDIR and prefix ($(prefix)) are honoured'
	@echo 'make deb          Debian packages, in $(B)/deb/'
	@echo 'make check-deb    ... installed and tried in a clean system (takes root)'
	@echo 'make install-vma  ... the command vma, where Proxmox'"'"'s own is not'
	@echo 'make uninstall, make clean'

setup:
	tests/setup.sh build plugin seccomp libvirt libvirtd check qemu demo

# Objects are made anew when a flag changes.
$(B)/flags: FORCE
	@tests/setup.sh --check build
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' > $@

$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	@$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(PROGRAMS:%=$(B)/%) $(B)/$(VMA): $(B)/%: $(B)/obj/vma-sink/%.o $(MODULE_OBJS)
	@mkdir -p $(@D)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PACKAGE_LIBS)

# Of the modules it gets those that it needs, with an archive's help.
$(B)/nbdkit-vma-plugin.so: $(B)/obj/vma-sink/nbdkit/vma-plugin.o $(MODULE_OBJS)
	@$(call say,LINK,$@)
	@rm -f $(B)/obj/modules.a
	$(Q)$(AR) rcs $(B)/obj/modules.a $(MODULE_OBJS)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -shared -Wl,--as-needed -o $@ $< \
		$(B)/obj/modules.a $(PACKAGE_LIBS)

$(B)/tests/%: $(B)/obj/tests/unit/%.o $(MODULE_OBJS)
	@mkdir -p $(@D)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PACKAGE_LIBS)

$(B)/tests/%: $(B)/obj/tests/bench/%.o $(MODULE_OBJS)
	@mkdir -p $(@D)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PACKAGE_LIBS)

$(B)/tests/test-replay-%: $(B)/obj/tests/fuzz/fuzz-%.o \
		$(B)/obj/tests/fuzz/replay.o $(B)/obj/tests/fuzz/no-checks.o \
		$(FUZZ_MODULES:%.c=$(B)/obj/%.o)
	@mkdir -p $(@D)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PACKAGE_LIBS)

# libFuzzer's, with what it learns kept in the build folder.
$(B)/fuzz/%: tests/fuzz/fuzz-%.c tests/fuzz/no-checks.c $(FUZZ_MODULES) FORCE
	@mkdir -p $(@D)
	clang $(ALL_CFLAGS) -w -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o $@ $(filter %.c,$^) $(PACKAGE_LIBS)

# Preloaded by tests that let calls fail, or make some of their own.
$(PRELOADED): $(B)/tests/%.so: tests/lib/%.c $(B)/flags
	@mkdir -p $(@D)
	@$(call say,CC,$<)
	$(Q)$(CC) -Wall -Wextra -Werror -O1 -D_GNU_SOURCE -shared -fPIC -o $@ $< -ldl

-include $(MODULE_OBJS:.o=.d) $(MAIN_OBJS:.o=.d) $(UNIT_OBJS:.o=.d) \
	$(B)/obj/vma-sink/nbdkit/vma-plugin.d \
	$(wildcard $(B)/obj/tests/fuzz/*.d)

# The runner takes the groups to run and prints the totals.
RUN_TESTS = B=$(abspath $(B)) QEMU_SERIES='$(QEMU_SERIES)' tests/run.sh

# These two set up the machine first, so they build in a make of their own,
# which finds the libraries that were installed.
check:
	@tests/setup.sh build plugin seccomp libvirt libvirtd check qemu
	@$(MAKE) --no-print-directory check-built

check-built: all $(UNIT_PROGRAMS) $(PRELOADED)
	$(RUN_TESTS) unit cli qemu libvirt faults

demo:
	@tests/setup.sh build plugin seccomp qemu demo
	@$(MAKE) --no-print-directory demo-built

demo-built: all
	@B=$(abspath $(B)) QEMU_SERIES=$(firstword $(QEMU_SERIES)) \
		tests/demo/run.sh

check-unit: $(UNIT_PROGRAMS)
	$(RUN_TESTS) unit

check-cli: all $(PRELOADED)
	$(RUN_TESTS) cli

check-qemu: all
	$(RUN_TESTS) qemu

check-libvirt: all
	$(RUN_TESTS) libvirt

check-asan:
	$(MAKE) B=$(B)/asan CFLAGS='-O1 -g -fsanitize=address,undefined \
		-fno-sanitize-recover=all -fno-omit-frame-pointer' \
		check-unit check-cli

# Many more than "make check" has time for: some 1200 kills, at random moments and
# before calls, 1400 calls that fail or do less, 500 losses of power.
FAULTS ?= 40
check-faults: all $(PRELOADED)
	B=$(abspath $(B)) tests/faults/run.py -n $(FAULTS)

# The long run of what tests/cli/*-differential.py do in "make check".
DIFFERENTIAL_ROUNDS ?= 5000
check-differential: all
	SEED=random ROUNDS=$(DIFFERENTIAL_ROUNDS) VMA_SINK=$(B)/vma-sink \
		tests/cli/sink-differential.py
	SEED=random ROUNDS=$(DIFFERENTIAL_ROUNDS) VMA_RESTORE=$(B)/vma-restore \
		tests/cli/restore-differential.py

# Of the unit tests and the fuzzers' corpus; with the programs' own tests, too:
# make coverage COVERAGE='check-unit check-cli'
COVERAGE ?= check-unit
coverage:
	find $(B)/coverage -name '*.gcda' -delete 2>/dev/null || true
	$(MAKE) B=$(B)/coverage CFLAGS='-O0 -g --coverage -DCONFINE_INSTRUMENTED \
		-fprofile-update=atomic' $(COVERAGE)
	tests/coverage.sh $(B)/coverage/obj/vma-sink

FUZZ_SECONDS ?= 60
check-fuzz: $(FUZZERS:%=$(B)/fuzz/%)
	@set -e; for fuzzer in $(FUZZERS); do \
		mkdir -p $(B)/fuzz/corpus-$$fuzzer; \
		$(B)/fuzz/$$fuzzer -max_total_time=$(FUZZ_SECONDS) -max_len=200000 \
			-rss_limit_mb=1024 -print_final_stats=1 \
			-artifact_prefix=$(B)/fuzz/found-$$fuzzer- \
			$(B)/fuzz/corpus-$$fuzzer \
			tests/fuzz/corpus/$$fuzzer tests/data/stream; \
	done

# Both print the build folder on standard output.
qemu:
	@qemu-patch/build-qemu.sh --series $(firstword $(QEMU_SERIES)) system

qemu-tools:
	@qemu-patch/build-qemu.sh --series $(firstword $(QEMU_SERIES)) tools

bench: all $(BENCH_PROGRAMS)
	B=$(abspath $(B)) QEMU_SERIES='$(QEMU_SERIES)' tests/bench/run.sh

SOAK_MINUTES ?= 20
soak: all
	@tests/setup.sh qemu demo
	@B=$(abspath $(B)) QEMU_SERIES='$(QEMU_SERIES)' tests/soak/run.sh $(SOAK_MINUTES)

latency:
	@tests/setup.sh qemu bench
	@OUT=$(abspath $(B)) QEMU_SERIES='$(QEMU_SERIES)' tests/soak/latency.sh

# Other versions of gcc's analyzer may be wrong in other places: what they find
# is shown, and no failure.
ANALYZER_VERSION = 12
ANALYZER_WERROR = $(if $(filter $(ANALYZER_VERSION),\
	$(shell gcc -dumpversion | cut -d. -f1)),-Werror)
ANALYZED = $(MODULES) $(PROGRAMS:%=vma-sink/%.c) vma-sink/$(VMA).c \
	$(if $(HAVE_NBDKIT),vma-sink/nbdkit/vma-plugin.c)

# NULL ends lists of arguments, as everywhere with GLib; it is a pointer here.
lint:
	cppcheck --quiet --error-exitcode=1 --inline-suppr -Ivma-sink \
		--library=gtk --enable=warning,performance,portability \
		--suppress=unknownMacro --suppress=varFuncNullUB vma-sink
	printf '%s\n' $(ANALYZED) | xargs -n 1 -P "$$(nproc)" \
		gcc $(filter-out -Werror,$(ALL_CFLAGS)) -O1 -fanalyzer \
		$(ANALYZER_WERROR) -c -o /dev/null
	pyflakes3 $$(git ls-files '*.py')
	shellcheck -x $$(git ls-files '*.sh' '*.bash' .ci/run)

# The plugin's page goes with the plugin.
MANUALS = $(filter-out %/vma.1 $(if $(PLUGIN),,%nbdkit-vma-plugin.1),\
	$(wildcard vma-sink/man/*.[15]))

# bash looks for a file of each program's name.
install: all
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(mandir)/man1 \
		$(DESTDIR)$(mandir)/man5 $(DESTDIR)$(bashdir) $(DESTDIR)$(zshdir) \
		$(DESTDIR)$(schemadir)
	install $(PROGRAMS:%=$(B)/%) $(DESTDIR)$(bindir)
	install -m 644 $(filter %.1,$(MANUALS)) $(DESTDIR)$(mandir)/man1
	install -m 644 $(filter %.5,$(MANUALS)) $(DESTDIR)$(mandir)/man5
	for p in $(PROGRAMS); do install -m 644 vma-sink/completions/vma.bash \
		$(DESTDIR)$(bashdir)/$$p || exit; done
	install -m 644 vma-sink/completions/_vma $(DESTDIR)$(zshdir)
	install -m 644 vma-sink/schema/*.json $(DESTDIR)$(schemadir)
ifeq ($(HAVE_NBDKIT),yes)
	install -d $(DESTDIR)$(nbdkit_plugindir)
	install $(PLUGIN) $(DESTDIR)$(nbdkit_plugindir)
endif

# Where Proxmox's own is not.
install-vma: all
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(mandir)/man1
	install $(B)/$(VMA) $(DESTDIR)$(bindir)
	install -m 644 vma-sink/man/vma.1 $(DESTDIR)$(mandir)/man1

uninstall-vma:
	rm -f $(DESTDIR)$(bindir)/$(VMA) $(DESTDIR)$(mandir)/man1/vma.1

uninstall:
	rm -f $(PROGRAMS:%=$(DESTDIR)$(bindir)/%) \
		$(PROGRAMS:%=$(DESTDIR)$(bashdir)/%) $(DESTDIR)$(zshdir)/_vma \
		$(patsubst vma-sink/schema/%,$(DESTDIR)$(schemadir)/%,\
			$(wildcard vma-sink/schema/*.json)) \
		$(patsubst vma-sink/man/%,$(DESTDIR)$(mandir)/man1/%,\
			$(filter %.1,$(MANUALS))) \
		$(patsubst vma-sink/man/%,$(DESTDIR)$(mandir)/man5/%,\
			$(filter %.5,$(MANUALS)))
ifeq ($(HAVE_NBDKIT),yes)
	rm -f $(DESTDIR)$(nbdkit_plugindir)/nbdkit-vma-plugin.so
endif

deb:
	@tests/setup.sh build plugin libvirt deb
	vma-sink/packaging/make-deb.sh $(B)/deb

check-deb: deb
	tests/deb/run.sh $(B)/deb

clean:
	rm -rf $(B)
