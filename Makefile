# The verbs people type. Meson builds; scripts do the rest. `make help` lists them.

BUILD ?= build
SANITIZED ?= build-asan

.PHONY: all run test check asan format install bench image check-deploy dev-services dev-services-stop clean help

all: $(BUILD)/build.ninja ## build the release programs: build/unreel and build/unreel-media
	ninja -C $(BUILD) unreel unreel-media

$(BUILD)/build.ninja:
	scripts/setup build
	meson setup $(BUILD) --buildtype=debugoptimized

$(SANITIZED)/build.ninja:
	scripts/setup build
	meson setup $(SANITIZED) --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false

run: all ## build and serve on http://127.0.0.1:8080, data in ./data
	$(BUILD)/unreel serve

test: ## install what the tests need, build, run them all
	scripts/setup test
	$(MAKE) $(BUILD)/build.ninja
	ninja -C $(BUILD)
	scripts/run-tests $(BUILD)

asan: ## the tests under AddressSanitizer, UBSan and LeakSanitizer
	scripts/setup test
	$(MAKE) $(SANITIZED)/build.ninja
	ninja -C $(SANITIZED)
	scripts/run-tests $(SANITIZED)

check: ## format, layers, banned calls, clang and gcc without warnings, clang-tidy
	scripts/setup check
	scripts/check

format: ## lay out all C files
	scripts/setup check
	clang-format-14 -i $$(git ls-files '*.c' '*.h')

bench: all ## compare with ffmpeg and nginx, side by side; prints ratios
	scripts/setup bench
	bench/bench $(BUILD)

image: ## build the container image with Docker or podman; prints its size
	scripts/build-image

dev-services: ## start RabbitMQ, MariaDB, MongoDB and an SMTP sink; prints the settings to paste
	scripts/setup services
	@scripts/dev-services start

dev-services-stop: ## stop them; their data stays in data/services
	@scripts/dev-services stop

check-deploy: ## look at the image, run the compose file, check the manifests (as root)
	scripts/setup deploy
	/usr/bin/python3 -m pytest -q -rs -p no:cacheprovider tests/deploy

install: all ## into /usr/local, or DESTDIR
	meson install -C $(BUILD) --no-rebuild

clean: ## remove what was built
	rm -rf $(BUILD) $(SANITIZED) build-clang

help:
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 24
