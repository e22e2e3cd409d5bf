{ nightly, ... }:
{
  services.task-pipeline = {
    enable = true;
    pipelines.nightly = {
      # Its packages are part of this system: a run downloads nothing.
      manifest = nightly.manifest;
      schedule = "03:00";
      timerConfig.RandomizedDelaySec = "30min";
      # If a step has changed, the next run does its tasks again.
      migrateTainted = true;
      serviceConfig.MemoryMax = "1G";
    };
  };

  # Replace these three with the hardware-configuration.nix of your machine.
  boot.loader.grub.enable = false;
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };
  system.stateVersion = "26.05";
}
