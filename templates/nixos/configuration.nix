{ nightly, ... }:
{
  services.task-pipeline = {
    enable = true;
    pipelines.nightly = {
      # Its packages are part of this system: a run downloads nothing.
      manifest = nightly.manifest;
      schedule = "03:00";
      timerConfig.RandomizedDelaySec = "30min";
      # Tasks of a step that was changed are run again by the next run.
      migrateTainted = true;
      serviceConfig.MemoryMax = "1G";
    };
  };

  # Of your machine: merge its hardware-configuration.nix in instead of these three.
  boot.loader.grub.enable = false;
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };
  system.stateVersion = "26.05";
}
