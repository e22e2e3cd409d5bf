# The package set: host programs put behind store paths, and just enough of the
# nixpkgs builders (stdenv.mkDerivation, buildRustPackage, the trivial builders).
{
  final,
  system,
  lib,
  host,
  config,
  path,
}:
let
  inherit (builtins)
    attrNames
    concatStringsSep
    filter
    functionArgs
    intersectAttrs
    isAttrs
    isFunction
    isList
    listToAttrs
    map
    mapAttrs
    removeAttrs
    replaceStrings
    ;

  # Called only with build inputs that carry names (`meta`, `passthru` stay out of the derivation).
  notEnv = [
    "meta"
    "passthru"
    "env"
    "override"
    "overrideAttrs"
    "cargoLock"
    "cargoDeps"
    "cargoHash"
  ];
  envValue =
    v:
    if isAttrs v && !(v ? outPath) then
      null
    else if isFunction v then
      null
    else
      v;
  toEnv =
    attrs:
    let
      flat = removeAttrs attrs notEnv // (attrs.env or { });
      keep = filter (n: envValue flat.${n} != null) (attrNames flat);
    in
    listToAttrs (
      map (n: {
        name = n;
        value = flat.${n};
      }) keep
    );

  mkDerivation =
    arg:
    let
      f = if isFunction arg then arg else _: arg;
      attrs = f (attrs // { finalPackage = self; });
      name = attrs.name or "${attrs.pname}-${attrs.version}";
      raw = derivation (
        toEnv attrs
        // {
          inherit name system;
          builder = host.bash;
          args = [
            "-e"
            ./builder.sh
          ];
          hostPath = host.path;
          outputs = attrs.outputs or [ "out" ];
        }
      );
      self =
        raw
        // (attrs.passthru or { })
        // {
          inherit system;
          meta = {
            inherit name;
            available = true;
          }
          // (attrs.meta or { });
          passthru = attrs.passthru or { };
          overrideAttrs =
            g:
            mkDerivation (
              fin:
              let
                prev = f fin;
                new = if isFunction (g fin) then g fin prev else g prev;
              in
              prev // new
            );
        }
        // lib.optionalAttrs (attrs ? pname) { inherit (attrs) pname; }
        // lib.optionalAttrs (attrs ? version) { inherit (attrs) version; }
        // lib.optionalAttrs (attrs ? src) { inherit (attrs) src; }
        // {
          inputDerivation = raw;
          drvAttrs = raw.drvAttrs;
        };
    in
    self;

  makeOverridable =
    f: args:
    let
      value = f args;
    in
    if isAttrs value then
      value // { override = g: makeOverridable f (args // (if isFunction g then g args else g)); }
    else
      value;
  callPackageWith =
    scope: fn: args:
    let
      f = if isFunction fn then fn else import fn;
      auto = intersectAttrs (functionArgs f) scope;
      missing = filter (n: !(auto ? ${n}) && !(args ? ${n}) && !(functionArgs f).${n}) (
        attrNames (functionArgs f)
      );
    in
    if missing != [ ] then
      throw "the stub nixpkgs has no ${concatStringsSep ", " missing}: add it to pkgs.nix or host.nix"
    else
      makeOverridable f (auto // args);

  run =
    name: env: text:
    mkDerivation (
      {
        inherit name;
        buildCommand = text;
        nativeBuildInputs = [ ];
      }
      // env
    );
  writeFile =
    {
      name,
      text,
      executable ? false,
      destination ? "",
      checkPhase ? "",
      meta ? { },
      passthru ? { },
      derivationArgs ? { },
      ...
    }:
    mkDerivation (
      {
        inherit
          name
          text
          executable
          destination
          checkPhase
          meta
          passthru
          ;
        passAsFile = [ "text" ];
        buildCommand = ''
          target=$out$destination
          mkdir -p "$(dirname "$target")"
          cp "$textPath" "$target"
          if [ -n "$executable" ]; then chmod +x "$target"; fi
          eval "$checkPhase"
        '';
      }
      // derivationArgs
    );

  # $out/bin/<name> -> the host's program.
  hostTools =
    pname: bins:
    {
      mainProgram ? lib.last (lib.attrNames bins),
      version ? "0-host",
      passthru ? { },
      meta ? { },
    }:
    mkDerivation {
      inherit pname version passthru;
      buildCommand = ''
        mkdir -p $out/bin
      ''
      + lib.concatMapStrings (n: ''
        ln -s ${lib.escapeShellArg bins.${n}} $out/bin/${n}
      '') (lib.attrNames bins);
      meta = {
        inherit mainProgram;
      }
      // meta;
    };
  tools =
    pname: main: extra:
    hostTools pname (host.tools.${pname} or { }) ({ mainProgram = main; } // extra);
  hook =
    name: text:
    mkDerivation {
      inherit name text;
      passAsFile = [ "text" ];
      buildCommand = ''
        mkdir -p $out/nix-support
        cp "$textPath" $out/nix-support/setup-hook
      '';
    };

  parsed = builtins.match "([^-]*)-(.*)" system;
  platform = {
    inherit system;
    config = system;
    isLinux = builtins.elemAt parsed 1 == "linux";
    isDarwin = builtins.elemAt parsed 1 == "darwin";
    canExecute = other: other.system == system;
    isx86_64 = builtins.head parsed == "x86_64";
    isAarch64 = builtins.head parsed == "aarch64";
    parsed = {
      cpu.name = builtins.head parsed;
      kernel.name = builtins.elemAt parsed 1;
    };
  };

  shellPkg = tools "bash" "bash" { passthru.shellPath = "/bin/bash"; };
in
{
  inherit
    lib
    config
    path
    system
    callPackageWith
    makeOverridable
    ;
  pkgs = final;
  buildPackages = final;
  targetPackages = final;
  callPackage = callPackageWith final;
  callPackages = callPackageWith final;
  newScope = extra: callPackageWith (final // extra);

  stdenv = {
    inherit mkDerivation system;
    hostPlatform = platform;
    buildPlatform = platform;
    targetPlatform = platform;
    isLinux = platform.isLinux;
    isDarwin = platform.isDarwin;
    shell = host.bash;
    cc = tools "gcc" "gcc" { };
  };
  stdenvNoCC = final.stdenv;
  inherit (platform) isLinux isDarwin;

  # Trivial builders.
  runCommand = run;
  runCommandLocal = run;
  runCommandCC = run;
  writeTextFile = writeFile;
  writeText = name: text: writeFile { inherit name text; };
  writeTextDir =
    dest: text:
    writeFile {
      name = baseNameOf dest;
      inherit text;
      destination = "/${dest}";
    };
  writeScript =
    name: text:
    writeFile {
      inherit name text;
      executable = true;
    };
  writeScriptBin =
    name: text:
    writeFile {
      inherit name text;
      executable = true;
      destination = "/bin/${name}";
      meta.mainProgram = name;
    };
  writeShellScript =
    name: text:
    writeFile {
      inherit name;
      executable = true;
      text = "#!${lib.getExe shellPkg}\n${text}";
    };
  writeShellScriptBin =
    name: text:
    writeFile {
      inherit name;
      executable = true;
      destination = "/bin/${name}";
      text = "#!${lib.getExe shellPkg}\n${text}";
      meta.mainProgram = name;
    };
  writeShellApplication =
    {
      name,
      text,
      runtimeInputs ? [ ],
      runtimeEnv ? { },
      meta ? { },
      passthru ? { },
      bashOptions ? [
        "errexit"
        "nounset"
        "pipefail"
      ],
      excludeShellChecks ? [ ],
      extraShellCheckFlags ? [ ],
      checkPhase ? null,
      inheritPath ? true,
      derivationArgs ? { },
    }:
    writeFile {
      inherit name passthru derivationArgs;
      executable = true;
      destination = "/bin/${name}";
      text = ''
        #!${lib.getExe shellPkg}
        ${lib.concatMapStrings (o: "set -o ${o}\n") bashOptions}
        ${lib.concatStrings (lib.mapAttrsToList (n: v: "export ${n}=${lib.escapeShellArg v}\n") runtimeEnv)}
        ${lib.optionalString (
          runtimeInputs != [ ]
        ) ''export PATH="${lib.makeBinPath runtimeInputs}:$PATH"''}
        ${text}
      '';
      checkPhase = if checkPhase == null then ''${host.bash} -n "$target"'' else checkPhase;
      meta = {
        mainProgram = name;
      }
      // meta;
    };
  symlinkJoin =
    args@{
      name,
      paths,
      postBuild ? "",
      ...
    }:
    run name
      (
        removeAttrs args [
          "name"
          "paths"
          "postBuild"
        ]
        // {
          inherit paths;
        }
      )
      ''
        mkdir -p $out
        for p in $paths; do cp -rs --no-preserve=mode "$p"/. $out/ 2>/dev/null || true; done
        ${postBuild}
      '';
  buildEnv =
    args@{
      name,
      paths,
      postBuild ? "",
      ...
    }:
    final.symlinkJoin { inherit name paths postBuild; }
    // {
      ignoreCollisions = false;
      inherit postBuild;
    };
  linkFarm =
    name: entries:
    run name { } (
      "mkdir -p $out\n"
      +
        lib.concatMapStrings
          (
            e:
            "mkdir -p $out/$(dirname ${lib.escapeShellArg e.name}); ln -s ${e.path} $out/${lib.escapeShellArg e.name}\n"
          )
          (
            if isList entries then entries else lib.mapAttrsToList (name: path: { inherit name path; }) entries
          )
    );
  linkFarmFromDrvs =
    name: drvs:
    final.linkFarm name (
      map (d: {
        inherit (d) name;
        path = d;
      }) drvs
    );
  emptyFile = run "empty-file" { } "touch $out";
  emptyDirectory = run "empty-directory" { } "mkdir $out";

  # Shells.
  mkShell =
    args:
    mkDerivation (
      {
        name = "nix-shell";
        buildCommand = "export > $out";
        # What `nix develop` sources to learn the environment.
        stdenv = final.writeTextDir "setup" ''
          PATH=${host.path}
          for input in $nativeBuildInputs; do
            if [ -d "$input/bin" ]; then PATH=$input/bin:$PATH; fi
          done
        '';
      }
      // removeAttrs args [
        "packages"
        "inputsFrom"
      ]
      // {
        nativeBuildInputs = (args.packages or [ ]) ++ (args.nativeBuildInputs or [ ]);
      }
    );
  mkShellNoCC = final.mkShell;

  # Setup hooks.
  makeWrapper = hook "make-wrapper-hook" (builtins.readFile ./make-wrapper.sh);
  makeBinaryWrapper = hook "make-binary-wrapper-hook" (builtins.readFile ./make-binary-wrapper.sh);
  installShellFiles = hook "install-shell-files-hook" (builtins.readFile ./install-shell-files.sh);
  versionCheckHook = hook "version-check-hook" ''
    stubVersionCheck() {
      if [ -n "''${doInstallCheck:-}" ]; then
        "$out/bin/''${versionCheckProgram:-$pname}" ''${versionCheckProgramArg:---version} | grep -F -- "$version"
      fi
    }
    postInstallHooks+=(stubVersionCheck)
  '';
  pkg-config = tools "pkg-config" "pkg-config" { };

  # Host programs.
  bash = shellPkg;
  bashInteractive = shellPkg;
  runtimeShell = lib.getExe shellPkg;
  coreutils = tools "coreutils" "coreutils" { };
  findutils = tools "findutils" "find" { };
  gnugrep = tools "gnugrep" "grep" { };
  gnused = tools "gnused" "sed" { };
  gawk = tools "gawk" "awk" { };
  gnutar = tools "gnutar" "tar" { };
  gzip = tools "gzip" "gzip" { };
  perl = tools "perl" "perl" { };
  python3 = tools "python3" "python3" { };
  procps = tools "procps" "ps" { };
  dash = tools "dash" "dash" { };
  util-linux = tools "util-linux" "script" { };
  git = tools "git" "git" { };
  gitMinimal = final.git;
  jq = tools "jq" "jq" { };
  openssh = tools "openssh" "ssh" { };
  sqlite = tools "sqlite" "sqlite3" { };
  systemd = tools "systemd" "systemctl" { };
  nix = tools "nix" "nix" { version = host.nixVersion; };
  nixVersions = {
    latest = final.nix;
    stable = final.nix;
  };
  cacert =
    run "cacert" { }
      "mkdir -p $out/etc/ssl/certs; ln -s ${host.caBundle} $out/etc/ssl/certs/ca-bundle.crt";
  cargo = tools "cargo" "cargo" { };
  rustc = tools "rustc" "rustc" { };
  clippy = tools "clippy" "cargo-clippy" { };
  rustfmt = tools "rustfmt" "rustfmt" { };
  rust-analyzer = tools "rust-analyzer" "rust-analyzer" { };
  # A formatter that formats nothing: it fails on Nix code that does not parse.
  nixfmt = final.writeShellApplication {
    name = "nixfmt";
    text = ''
      for f in "$@"; do case $f in *.nix) ${host.tools.nix.nix-instantiate} --parse "$f" >/dev/null;; esac; done
    '';
  };
  nixfmt-rfc-style = final.nixfmt;
  nixfmt-tree = final.nixfmt;
  treefmt = final.nixfmt;
  nix-update-script = _: [ "nix-update" ];
  # The host's, or one that takes a book whose pages are all there and shows them as they are.
  mdbook =
    if host.tools.mdbook != { } then
      tools "mdbook" "mdbook" { }
    else
      final.writeShellApplication {
        name = "mdbook";
        text = ''
          [ "$1 $2" = 'build --dest-dir' ]
          cp -R "$4"/. "$3"
          sed -n 's/.*](\(.*\))$/\1/p' "$4/SUMMARY.md" | while IFS= read -r page; do
            cp "$4/$page" "$3/''${page%.md}.html"
          done
        '';
      };
  # A page as that of nixpkgs: a heading for each option, its description, type and default.
  nixosOptionsDoc =
    {
      options,
      transformOptions ? (o: o),
    }:
    {
      optionsCommonMark = final.writeText "options.md" (
        lib.concatMapStrings (
          option:
          let
            o = transformOptions option;
          in
          if o.description == null then
            throw "the option ${o.name} has no description"
          else
            "## ${replaceStrings [ "<" ] [ "\\<" ] o.name}\n\n${o.description}\n\n*Type:* ${o.type}\n\n"
            + lib.optionalString (o ? default) "*Default:* `${o.default.text}`\n\n"
        ) (lib.optionAttrSetToDocList options)
      );
    };
  shellcheck = final.writeShellApplication {
    name = "shellcheck";
    text = ":";
  };

  # Rust, through the host's cargo and its download cache.
  rustPlatform = {
    buildRustPackage = import ./build-rust-package.nix { inherit lib host mkDerivation; };
    rustLibSrc = "${host.rustSysroot}/lib/rustlib/src/rust/library";
  };
  makeRustPlatform = _: final.rustPlatform;

  testers = {
    runNixOSTest = t: run "vm-test-not-run" { } "echo no virtual machines here > $out";
    testVersion =
      {
        package,
        command ? "${package.meta.mainProgram or package.pname} --version",
        version ? package.version,
      }:
      run "${package.name}-test-version" { nativeBuildInputs = [ package ]; } ''
        ${command} | tee log; grep -F -- ${lib.escapeShellArg version} log; touch $out
      '';
  };
  nixosTest = final.testers.runNixOSTest;
}
