/** Environment variable with the URL of the MariaDB that the global setup started. */
export const OWN_MARIADB = 'VIREMENT_TEST_MARIADB';

/** Environment variable with the folder of a MariaDB's data as it is after its installation. */
export const INSTALLED_DATA = 'VIREMENT_TEST_MARIADB_DATA';

/**
 * The MySQL or MariaDB server that tests make their databases on, without a database's name: the one that
 * TEST_MYSQL_URL names, the tests' own, or the one of this machine.
 */
export const MYSQL_URL = (
  process.env.TEST_MYSQL_URL ||
  process.env[OWN_MARIADB] ||
  'mariadb://root@127.0.0.1:3306'
).replace(/\/$/, '');
