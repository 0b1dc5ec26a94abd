import java.math.BigDecimal;
import java.sql.*;
import java.time.*;
import java.util.*;

/**
 * Saves whole rows as Hibernate does where `@DynamicUpdate` is not set: one prepared UPDATE that binds every column by the type of its
 * field, a NULL with the type of its column; alone, and as a batch.
 */
public class Herd {
    static final Map<String, String> TYPES = new LinkedHashMap<>();

    /** The field's value. */
    static Object read(ResultSet row, String column, String type) throws SQLException {
        Object value = switch (type) {
            case "varchar(60)", "char(16)" -> row.getString(column);
            case "integer" -> row.getInt(column);
            case "bigint" -> row.getLong(column);
            case "numeric(12,2)" -> row.getBigDecimal(column);
            case "double precision" -> row.getDouble(column);
            case "timestamp" -> row.getObject(column, LocalDateTime.class);
            case "timestamptz" -> row.getObject(column, OffsetDateTime.class);
            case "date" -> row.getObject(column, LocalDate.class);
            case "uuid" -> row.getObject(column, UUID.class);
            case "boolean" -> row.getBoolean(column);
            case "text[]" -> row.getArray(column);
            default -> row.getObject(column);
        };
        return row.wasNull() ? null : value;
    }

    static void bind(PreparedStatement update, int at, Object value, String type) throws SQLException {
        int sql = switch (type) {
            case "varchar(60)" -> Types.VARCHAR;
            case "char(16)" -> Types.CHAR;
            case "integer" -> Types.INTEGER;
            case "bigint" -> Types.BIGINT;
            case "numeric(12,2)" -> Types.NUMERIC;
            case "double precision" -> Types.DOUBLE;
            case "timestamp" -> Types.TIMESTAMP;
            case "timestamptz" -> Types.TIMESTAMP_WITH_TIMEZONE;
            case "date" -> Types.DATE;
            case "boolean" -> Types.BOOLEAN;
            case "text[]" -> Types.ARRAY;
            default -> Types.OTHER;
        };
        if (value == null) update.setNull(at, sql);
        else if (value instanceof String text) update.setString(at, text);
        else if (value instanceof Integer number) update.setInt(at, number);
        else if (value instanceof Long number) update.setLong(at, number);
        else if (value instanceof BigDecimal number) update.setBigDecimal(at, number);
        else if (value instanceof Double number) update.setDouble(at, number);
        else if (value instanceof Boolean truth) update.setBoolean(at, truth);
        else if (value instanceof Array array) update.setArray(at, array);
        else update.setObject(at, value);
    }

    static void save(Connection c, boolean batch, String more) throws SQLException {
        List<Map<String, Object>> rows = new ArrayList<>();
        try (Statement s = c.createStatement(); ResultSet row = s.executeQuery("select * from herd order by id")) {
            while (row.next()) {
                Map<String, Object> entity = new LinkedHashMap<>();
                entity.put("id", row.getLong("id"));
                entity.put("note", row.getString("note") + more);
                for (var column : TYPES.entrySet()) entity.put(column.getKey(), read(row, column.getKey(), column.getValue()));
                rows.add(entity);
            }
        }
        String set = String.join("=?,", TYPES.keySet()) + "=?,note=?";
        try (PreparedStatement update = c.prepareStatement("update herd set " + set + " where id=?")) {
            for (var entity : rows) {
                int at = 0;
                for (var column : TYPES.entrySet()) bind(update, ++at, entity.get(column.getKey()), column.getValue());
                update.setString(++at, (String) entity.get("note"));
                update.setLong(++at, (Long) entity.get("id"));
                if (batch) update.addBatch();
                else if (update.executeUpdate() != 1) throw new IllegalStateException("no row was saved");
            }
            if (batch && Arrays.stream(update.executeBatch()).anyMatch(count -> count != 1)) throw new IllegalStateException("a row was not saved");
        }
    }

    public static void main(String[] arguments) throws Exception {
        for (String pair : System.getenv("TYPES").split("\\|")) TYPES.put(pair.split("=")[0], pair.split("=")[1]);
        String at = System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        // Prepared at the server from the first execution on, results and parameters binary; and never.
        for (String threshold : List.of("1", "0")) {
            Properties to = new Properties();
            to.setProperty("user", System.getenv("PGUSER"));
            to.setProperty("sslmode", "disable");
            to.setProperty("prepareThreshold", threshold);
            try (Connection c = DriverManager.getConnection("jdbc:postgresql://" + at, to)) {
                save(c, false, "h");
                save(c, true, "b");
            }
        }
    }
}
