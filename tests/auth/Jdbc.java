import java.sql.*;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;

/** What an application does with pgjdbc, through the proxy. Prints one word for each thing that worked. */
public class Jdbc {
    static final List<String> SAID = new ArrayList<>();

    static Connection connect(String password, String... more) throws SQLException {
        Properties to = new Properties();
        to.setProperty("user", "support_agent");
        to.setProperty("password", password);
        to.setProperty("ApplicationName", "jdbc");
        for (int i = 0; i < more.length; i += 2) to.setProperty(more[i], more[i + 1]);
        return DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + System.getenv("TEST_PORT") + "/shop", to);
    }

    static void must(boolean holds, String what) {
        if (!holds) throw new IllegalStateException(what);
        SAID.add(what);
    }

    static String one(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
            r.next();
            return r.getString(1);
        }
    }

    public static void main(String[] arguments) throws Exception {
        String password = System.getenv("TEST_PASSWORD"), ca = System.getenv("TEST_CA");
        String[] full = {"ssl", "true", "sslmode", "verify-full", "sslrootcert", ca};
        try (Connection c = connect(password, "sslmode", "disable")) {
            must(Integer.parseInt(one(c, "SELECT count(*) FROM customers")) > 0, "plain");
        }
        try (Connection c = connect(password, full)) {
            must(c.isValid(5), "verify-full");

            // Prepared at the server from the fifth execution on, the results binary from then.
            try (PreparedStatement p = c.prepareStatement("SELECT id, full_name, email FROM customers WHERE id = ?")) {
                org.postgresql.PGStatement own = p.unwrap(org.postgresql.PGStatement.class);
                String email = null;
                for (int i = 1; i <= 8; i++) {
                    p.setInt(1, 1);
                    try (ResultSet r = p.executeQuery()) {
                        must(r.next() && r.getInt(1) == 1, "row" + i);
                        String now = r.getString(3);
                        if (email != null && !email.equals(now)) throw new IllegalStateException("another value: " + now);
                        email = now;
                    }
                }
                must(own.isUseServerPrepare(), "server-prepared");
                must(email.contains("@") && email.contains("*"), "masked");
            }

            // What the policy does not open.
            try {
                one(c, "SELECT id_number || '' FROM customers, pg_authid LIMIT 1");
                throw new IllegalStateException("not refused");
            } catch (SQLException e) {
                must("42501".equals(e.getSQLState()), "refused-in-words");
            }

            // A cursor: portals of three rows in one transaction.
            c.setAutoCommit(false);
            try (PreparedStatement p = c.prepareStatement("SELECT order_id, total FROM orders ORDER BY order_id LIMIT 100")) {
                p.setFetchSize(3);
                int rows = 0;
                try (ResultSet r = p.executeQuery()) {
                    while (r.next()) rows++;
                }
                must(rows == 100, "portals");
            }

            // A batch, rolled back.
            String before = one(c, "SELECT count(*) FROM orders WHERE status = 'jdbc'");
            try (PreparedStatement p = c.prepareStatement("UPDATE orders SET status = ? WHERE order_id = ?")) {
                for (int id = 1; id <= 7; id++) {
                    p.setString(1, "jdbc");
                    p.setInt(2, id);
                    p.addBatch();
                }
                int done = 0;
                for (int count : p.executeBatch()) done += count;
                must(done == 7, "batch");
            }
            must(!before.equals(one(c, "SELECT count(*) FROM orders WHERE status = 'jdbc'")), "written");
            c.rollback();
            must(before.equals(one(c, "SELECT count(*) FROM orders WHERE status = 'jdbc'")), "rolled-back");
            c.setAutoCommit(true);

            DatabaseMetaData about = c.getMetaData();
            int columns = 0, tables = 0, keys = 0;
            try (ResultSet r = about.getTables(null, "public", "customers", new String[] {"TABLE"})) { while (r.next()) tables++; }
            try (ResultSet r = about.getColumns(null, "public", "customers", "%")) { while (r.next()) columns++; }
            try (ResultSet r = about.getPrimaryKeys(null, "public", "customers")) { while (r.next()) keys++; }
            must(tables == 1 && columns > 5 && keys == 1, "metadata");
            c.setReadOnly(true);
            must(one(c, "SHOW pgpurpose.purpose").equals("support"), "purpose");
        }
        // Binary from the first execution on.
        try (Connection c = connect(password, "ssl", "true", "sslmode", "verify-full", "sslrootcert", ca,
                "prepareThreshold", "-1", "binaryTransfer", "true");
                PreparedStatement p = c.prepareStatement("SELECT order_id, total, created_at FROM orders WHERE order_id = ?")) {
            p.setInt(1, 2);
            try (ResultSet r = p.executeQuery()) {
                must(r.next() && r.getInt(1) == 2 && r.getBigDecimal(2).signum() > 0 && r.getTimestamp(3) != null, "binary");
            }
        }
        try {
            connect("wrong", full).close();
            throw new IllegalStateException("a wrong password logs in");
        } catch (SQLException e) {
            must("28P01".equals(e.getSQLState()), "refused");
        }
        try {
            connect(password, "ssl", "true", "sslmode", "verify-full", "sslrootcert", System.getenv("TEST_OTHER_CA")).close();
            throw new IllegalStateException("another authority is believed");
        } catch (SQLException e) {
            must("08006".equals(e.getSQLState()), "unknown-authority");
        }
        System.out.println(String.join(" ", SAID));
    }
}
