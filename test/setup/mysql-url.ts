/** The MySQL or MariaDB server that tests make their databases on; without a database's name. */
export const MYSQL_URL = (process.env.TEST_MYSQL_URL || 'mariadb://root@127.0.0.1:3306').replace(
  /\/$/,
  '',
);
