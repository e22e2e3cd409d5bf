# Pipelines as launchd agents, for home-manager on macOS.
{ lib }:
let
  # Of systemd's calendar expressions those that launchd can express: launchd matches minute, hour
  # and day, each by one number.
  named = {
    hourly = {
      Minute = 0;
    };
    daily = at 0 0;
    weekly = at 0 0 // {
      Weekday = 1;
    };
    monthly = at 0 0 // {
      Day = 1;
    };
    yearly = at 0 0 // {
      Day = 1;
      Month = 1;
    };
    annually = named.yearly;
  };
  at = hour: minute: {
    Hour = hour;
    Minute = minute;
  };
  days = {
    Sun = 0;
    Mon = 1;
    Tue = 2;
    Wed = 3;
    Thu = 4;
    Fri = 5;
    Sat = 6;
  };
  number = text: lib.toIntBase10 text;

  # The interval of an expression; null where launchd has none.
  interval =
    expression:
    let
      parts = builtins.match "((${lib.concatStringsSep "|" (lib.attrNames days)}) +)?([*]-[*]-[*] +)?([0-9]{1,2}):([0-9]{2})(:00)?" expression;
      part = builtins.elemAt parts;
      hour = number (part 3);
      minute = number (part 4);
    in
    if named ? ${expression} then
      named.${expression}
    else if parts == null || hour > 23 || minute > 59 then
      null
    else
      at hour minute // lib.optionalAttrs (part 1 != null) { Weekday = days.${part 1}; };
in
{
  # The intervals of a schedule, an expression or a list of them.
  intervals = schedule: map interval (lib.toList schedule);

  # What a pipeline asks for and launchd has not.
  assertions =
    option: name: pipeline:
    let
      place = "${option}.${builtins.toJSON name}";
      unless = isSet: what: {
        assertion = !isSet;
        message = "${place}: `${what}` is a matter of systemd, which macOS has not; leave it out there.";
      };
    in
    [
      (unless (pipeline.environmentFile != null) "environmentFile")
      (unless (pipeline.credentials != { }) "credentials")
      (unless (pipeline.encryptedCredentials != { }) "encryptedCredentials")
      (unless (pipeline.onFailure != [ ]) "onFailure")
      (unless pipeline.enforceMemory "enforceMemory")
      (unless (pipeline.serviceConfig != { }) "serviceConfig")
      (unless (pipeline.timerConfig != { }) "timerConfig")
      (unless (pipeline.gc.schedule != null) "gc.schedule")
    ]
    ++ lib.optional (pipeline.schedule != null) {
      assertion = lib.all (one: interval one != null) (lib.toList pipeline.schedule);
      message = "${place}: `schedule`: launchd knows ${lib.concatStringsSep ", " (lib.attrNames named)}, times as 03:00, and days with them as Mon 06:30.";
    };
}
