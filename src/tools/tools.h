#pragma once
// Commands that are not roles.

int serve_command(char *const *arguments);        // all roles on this machine
int migrate_command(char *const *arguments);      // brings the databases up to date
int convert_command(char *const *arguments);      // one file, without any service
int probe_command(char *const *arguments);        // what is in one file
int check_config_command(char *const *arguments); // shows the settings, or what is wrong with them
int user_command(char *const *arguments);         // accounts from the command line
int make_key_command(char *const *arguments);     // a key that several auth roles share
int healthcheck_command(char *const *arguments);  // asks a role's operators' port
