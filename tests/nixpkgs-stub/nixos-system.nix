# A stand-in for `nixpkgs.lib.nixosSystem`: modules evaluated beside a handful of a machine's
# options. Its toplevel holds the units as files, after the assertions have passed.
{ lib, pkgsFor }:
{
  modules,
  system ? null,
  specialArgs ? { },
}:
let
  inherit (lib) mkOption types;
  anything = mkOption {
    type = types.lazyAttrsOf types.anything;
    default = { };
  };
  machine =
    { config, pkgs, ... }:
    {
      options = {
        assertions = mkOption {
          type = types.listOf types.raw;
          default = [ ];
        };
        warnings = mkOption {
          type = types.listOf types.str;
          default = [ ];
        };
        environment.systemPackages = mkOption {
          type = types.listOf types.package;
          default = [ ];
        };
        nix.package = mkOption {
          type = types.package;
          default = pkgs.nix;
        };
        nix.enable = mkOption {
          type = types.bool;
          default = true;
        };
        nixpkgs.hostPlatform = mkOption {
          type = types.raw;
          default = system;
        };
        nixpkgs.overlays = mkOption {
          type = types.listOf types.raw;
          default = [ ];
        };
        system.stateVersion = mkOption {
          type = types.str;
          default = lib.trivial.release;
        };
        system.build = anything;
        networking = anything;
        boot = anything;
        fileSystems = anything;
        documentation = anything;
        users = {
          users = anything;
          groups = anything;
        };
        systemd.services = anything;
        systemd.timers = anything;
        systemd.tmpfiles.rules = mkOption {
          type = types.listOf types.str;
          default = [ ];
        };
        systemd.tmpfiles.settings = anything;
      };
      config = {
        _module.args.pkgs = pkgsFor config.nixpkgs.hostPlatform;
        system.build.toplevel =
          let
            failed = map (a: a.message) (builtins.filter (a: !a.assertion) config.assertions);
          in
          if failed != [ ] then
            throw "\nFailed assertions:\n${lib.concatMapStringsSep "\n" (m: "- ${m}") failed}"
          else
            pkgs.linkFarm "nixos-system-stub" (
              lib.mapAttrs' (
                n: u: lib.nameValuePair "${n}.service" (pkgs.writeText "${n}.service" (service pkgs n u))
              ) config.systemd.services
              // lib.mapAttrs' (
                n: u: lib.nameValuePair "${n}.timer" (pkgs.writeText "${n}.timer" (timer u))
              ) config.systemd.timers
            );
      };
    };
  lines =
    name: v:
    if lib.isList v then
      lib.concatMapStrings (x: lines name x) v
    else if v == true then
      "${name}=true\n"
    else if v == false then
      "${name}=false\n"
    else if v == null then
      ""
    else
      "${name}=${toString v}\n";
  section = name: attrs: "[${name}]\n" + lib.concatStrings (lib.mapAttrsToList lines attrs) + "\n";
  unit =
    u:
    section "Unit" (
      (u.unitConfig or { })
      // lib.optionalAttrs (u ? description) { Description = u.description; }
      // lib.optionalAttrs (u ? after) { After = toString u.after; }
      // lib.optionalAttrs (u ? wants) { Wants = toString u.wants; }
      // lib.optionalAttrs (u.onFailure or [ ] != [ ]) { OnFailure = toString u.onFailure; }
    );
  service =
    pkgs: name: u:
    unit u
    + section "Service" (
      {
        Environment = lib.mapAttrsToList (n: v: builtins.toJSON "${n}=${v}") (
          { PATH = lib.makeBinPath ((u.path or [ ]) ++ [ pkgs.coreutils ]); } // (u.environment or { })
        );
      }
      // lib.optionalAttrs (u ? script) {
        ExecStart = toString (pkgs.writeShellScript "${name}-start" "set -e\n${u.script}");
      }
      // (u.serviceConfig or { })
    );
  timer =
    u:
    unit u
    + section "Timer" (u.timerConfig or { })
    + lib.optionalString (u ? wantedBy) (section "Install" { WantedBy = toString u.wantedBy; });
in
lib.evalModules {
  inherit specialArgs;
  modules = [ machine ] ++ modules;
}
