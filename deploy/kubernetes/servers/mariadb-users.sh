# The image's entrypoint reads this once, when the data directory is empty. Each user may do what its
# role needs: only `migrate` changes tables, only auth sees accounts, the autoscaler counts rows.
password() {
    cat "/run/secrets/mariadb/$1"
}
docker_process_sql <<SQL
CREATE DATABASE accounts CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE DATABASE jobs CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE USER accounts IDENTIFIED BY '$(password accounts)';
CREATE USER jobs IDENTIFIED BY '$(password jobs)';
CREATE USER migrate IDENTIFIED BY '$(password migrate)';
CREATE USER scaler IDENTIFIED BY '$(password scaler)' WITH MAX_USER_CONNECTIONS 5;
GRANT SELECT, INSERT, UPDATE, DELETE ON accounts.* TO accounts;
GRANT SELECT, INSERT, UPDATE, DELETE ON jobs.* TO jobs;
GRANT SELECT, INSERT, CREATE, ALTER, INDEX ON accounts.* TO migrate;
GRANT SELECT, INSERT, CREATE, ALTER, INDEX ON jobs.* TO migrate;
GRANT SELECT ON jobs.* TO scaler;
SQL
