# SPDX-License-Identifier: GPL-2.0
#
# Common part of every collection's Makefile: set TEST_GEN_PROGS, TEST_PROGS
# and friends, then include this file. The rules that build, install and list
# tests are the kernel's own lib.mk, taken from KSRC and never copied.
#
#   KSRC       kernel source tree (required, read only)
#   OUTPUT     where to build (default: build/selftests/<collection>)
#   DM_LIB     the archive of helpers, if somebody else has built it
#   VM_UTIL=1  (set by a collection) also link the kernel's mm/vm_util.c
#
# Every program in TEST_GEN_PROGS and TEST_GEN_PROGS_EXTENDED is linked with the
# helpers in this directory; a file named "required" next to the Makefile is
# installed with the collection and read by the runner.

DM_LIBDIR := $(realpath $(dir $(lastword $(MAKEFILE_LIST))))
DM_TOPDIR := $(realpath $(DM_LIBDIR)/../..)
DM_NAME := $(notdir $(CURDIR))

ifeq ($(wildcard $(KSRC)/tools/testing/selftests/lib.mk),)
$(error KSRC must name a kernel source tree that has tools/testing/selftests)
endif

OUTPUT ?= $(DM_TOPDIR)/build/selftests/$(DM_NAME)
$(shell mkdir -p $(OUTPUT))
override OUTPUT := $(realpath $(OUTPUT))
COLLECTION ?= $(DM_NAME)

DM_SRCS := $(wildcard $(DM_LIBDIR)/*.c)
DM_HDRS := $(wildcard $(DM_LIBDIR)/*.h $(DM_LIBDIR)/*.inc $(DM_TOPDIR)/uapi/*/*.h)
DM_ARCHIVE := $(OUTPUT)/libdm.a
DM_OBJS := $(patsubst $(DM_LIBDIR)/%.c,$(OUTPUT)/dm_objs/%.o,$(DM_SRCS))

# Of use only to programs that call something of dm_drm.h.
DRM_CFLAGS := $(shell pkg-config --cflags libdrm 2>/dev/null || \
		echo -I/usr/include/libdrm)
DRM_LIBS := -Wl,--push-state,--as-needed \
	    $(shell pkg-config --libs libdrm 2>/dev/null || echo -ldrm) \
	    -Wl,--pop-state

CFLAGS += -std=gnu11 -O2 -g -Wall -Wextra -Werror -Wno-sign-compare
CFLAGS += -Wno-unused-parameter -Wno-missing-field-initializers
CFLAGS += -I$(DM_LIBDIR) -I$(DM_TOPDIR)/uapi $(DRM_CFLAGS)
LDLIBS += $(DM_ARCHIVE) -lpthread $(DRM_LIBS)
EXTRA_CLEAN += $(DM_ARCHIVE) $(OUTPUT)/dm_objs
TEST_FILES += $(wildcard required)

include $(KSRC)/tools/testing/selftests/lib.mk

CFLAGS += $(KHDR_INCLUDES)

# tools/include/uapi has only some of the headers and does not mix with what
# libc brings: for those who link code that needs it.
ifeq ($(VM_UTIL),1)
CFLAGS += $(TOOLS_INCLUDES) -I$(top_srcdir) -I$(selfdir)/mm
DM_VM_UTIL := $(OUTPUT)/dm_objs/vm_util.o
$(DM_VM_UTIL): $(selfdir)/mm/vm_util.c
	@mkdir -p $(@D)
	$(call msg,CC,,$@)
	$(Q)$(CC) $(CFLAGS) -Wno-error -w -c $< -o $@
endif

ifneq ($(DM_LIB),)
$(DM_ARCHIVE): $(DM_LIB)
	$(Q)ln -sf $< $@
else
$(OUTPUT)/dm_objs/%.o: $(DM_LIBDIR)/%.c $(DM_HDRS)
	@mkdir -p $(@D)
	$(call msg,CC,,$@)
	$(Q)$(CC) $(CFLAGS) -c $< -o $@

$(DM_ARCHIVE): $(DM_OBJS)
	$(call msg,AR,,$@)
	$(Q)$(RM) $@ && $(AR) rcs $@ $^
endif

# lib.mk's pattern rule links every prerequisite that is not in LOCAL_HDRS.
$(TEST_GEN_PROGS) $(TEST_GEN_PROGS_EXTENDED): $(DM_VM_UTIL) $(DM_ARCHIVE)
LOCAL_HDRS += $(DM_HDRS) $(wildcard $(CURDIR)/*.h)
$(TEST_GEN_PROGS) $(TEST_GEN_PROGS_EXTENDED): $(LOCAL_HDRS)
