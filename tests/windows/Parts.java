import java.sql.*;
import java.util.*;

/** Reads a result ten rows at a time, as reports and exports do; between two parts two consents are withdrawn. */
public class Parts {
    static final String QUERY = "SELECT person, name FROM readers WHERE person BETWEEN 2101 AND 2124 ORDER BY person";
    static Connection direct;

    static void consent(boolean on) throws SQLException {
        try (Statement s = direct.createStatement()) {
            s.execute("UPDATE privacy.consents SET granted = " + on + " WHERE subject_id IN (2112, 2118)");
        }
    }

    static String read(ResultSet rows) throws SQLException {
        List<String> people = new ArrayList<>();
        while (rows.next()) {
            people.add(rows.getString(1));
            // Ten had come before.
            if (people.size() == 3) consent(false);
        }
        consent(true);
        return String.join(",", people);
    }

    public static void main(String[] arguments) throws Exception {
        String host = "jdbc:postgresql://127.0.0.1:";
        direct = DriverManager.getConnection(host + System.getenv("DIRECT_PORT") + "/postgres?user=postgres&sslmode=disable");
        String url = host + System.getenv("PGPORT") + "/postgres?user=support&sslmode=disable&prepareThreshold=3";
        try (Connection c = DriverManager.getConnection(url)) {
            c.setAutoCommit(false);
            try (Statement s = c.createStatement()) {
                s.setFetchSize(10);
                try (ResultSet rows = s.executeQuery(QUERY)) {
                    System.out.println("statement " + read(rows));
                }
            }
            try (PreparedStatement s = c.prepareStatement(QUERY)) {
                s.setFetchSize(10);
                for (int run = 0; run < 3; run++) {
                    String what = s.unwrap(org.postgresql.PGStatement.class).isUseServerPrepare() && run == 2 ? "server-prepared " : "prepared ";
                    try (ResultSet rows = s.executeQuery()) {
                        System.out.println(what + read(rows));
                    }
                }
            }
            // One that is to outlive its transaction is read whole by the driver.
            try (Statement s = c.createStatement(ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY, ResultSet.HOLD_CURSORS_OVER_COMMIT)) {
                s.setFetchSize(10);
                ResultSet rows = s.executeQuery(QUERY);
                c.commit();
                System.out.println("holdable " + read(rows));
            }
            consent(false);
            try (Statement s = c.createStatement(); ResultSet rows = s.executeQuery("SELECT count(*) FROM readers WHERE person IN (2112, 2118)")) {
                rows.next();
                System.out.println("left " + rows.getInt(1));
            }
            consent(true);
            c.commit();
        }
    }
}
