# SPDX-License-Identifier: GPL-2.0
#
# Find out what the kernel offers by compiling one small file per feature.
#
# A Kbuild file sets compat-src to this directory, includes this file, adds
# $(compat-include) to ccflags-y and makes its objects depend on
# $(compat-config). The results land in compat/ below the object directory.
#
# The probes are compiled by the very kbuild pass, and with the flags, that
# compile the driver: no flags put together by hand, no second make. A probe
# that does not compile is an answer, not an error, so one pass runs them all.
# canary.c has to compile and negative.c must not; otherwise config.sh stops the
# build, because then no answer can be believed.

compat-probes := $(sort $(patsubst $(compat-src)/probes/%.c,%,\
			$(wildcard $(compat-src)/probes/*.c)))
compat-results := $(addprefix compat/probes/, $(addsuffix .res, $(compat-probes)))
compat-config := $(obj)/compat/config.h
compat-include := -include $(compat-config)

# A kernel or a compiler replaced under the same path asks every question anew.
compat-cc := $(shell LC_ALL=C $(CC) --version 2>/dev/null | head -n 1)
compat-stamp := $(subst ",,$(KERNELRELEASE) $(compat-cc))

# A warning is not an answer: CONFIG_WERROR must not turn a yes into a no. Calls
# of functions that do not exist or take other arguments must not turn a no into
# a yes, which is why -w is out of the question.
compat-flags := -Wno-error -Werror=implicit-function-declaration \
		-Werror=incompatible-pointer-types -Werror=int-conversion

targets += compat/config.h $(compat-results)
clean-files += compat/config.h compat/probes/*.res compat/probes/*.log \
	       compat/probes/*.o

# The flags of the driver would force in the very file the probes are for.
$(addprefix $(obj)/, $(compat-results)): ccflags-y :=
$(addprefix $(obj)/, $(compat-results)): part-of-module := y

quiet_cmd_compat_probe = PROBE   $(basename $(notdir $@))
      cmd_compat_probe = \
	if $(CC) $(c_flags) $(compat-flags) -DCOMPAT_STAMP="\"$(compat-stamp)\"" \
	   -c -o $(basename $@).o $< 2>$(basename $@).log; \
	then echo 1 >$@; else echo 0 >$@; fi; \
	test -s $(depfile) || echo "$@: $<" >$(depfile)

$(obj)/compat/probes/%.res: $(compat-src)/probes/%.c FORCE
	$(call if_changed_dep,compat_probe)

quiet_cmd_compat_config = GEN     $@
      cmd_compat_config = $(CONFIG_SHELL) $(compat-src)/config.sh \
	"$(compat-stamp)" $(compat-src)/probes $(obj)/compat/probes >$@.tmp; \
	mv $@.tmp $@

$(compat-config): $(addprefix $(obj)/, $(compat-results)) \
		  $(compat-src)/config.sh FORCE
	$(call if_changed,compat_config)
