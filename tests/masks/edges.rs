//! Values at the edges of what a mask reads, and of what a type holds, each with what is shown of it. Plain addresses are cut at their signs,
//! others matched: both ways the host alone is shown.

use super::{Zoo, run};

#[test]
fn what_masks_show_of_values_at_the_edges() {
    run(async |zoo: Zoo| {
        for (mask, column, value, want) in [
            ("host", "a_text", "'https://shop.example'", Some("https://shop.example/")),
            ("host", "a_text", "'https://shop.example:8443/reset?t=1#x'", Some("https://shop.example/")),
            ("host", "a_text", "'https://shop.example?t=a/b:c@d'", Some("https://shop.example/")),
            ("host", "a_text", "'ftp://shop.example#a/b'", Some("ftp://shop.example/")),
            ("host", "a_text", "'https://shop.example:/'", Some("https://shop.example/")),
            ("host", "a_text", "'https://u:p@shop.example:1/'", Some("https://shop.example/")),
            ("host", "a_text", "'https://u@mail:p@shop.example'", Some("https://shop.example/")),
            ("host", "a_text", "'https://thandi:8001@/x'", Some("***")),
            ("host", "a_text", "'https://thandi@/x'", Some("***")),
            ("host", "a_text", "' https://[2001:db8::1]:80/x'", Some("https://[2001:db8::1]/")),
            ("host", "a_text", "'https://shop.example Thandi'", Some("https://shop.example/")),
            ("host", "a_text", "'thandi'", Some("***")),
            ("host", "a_text", "'//thandi'", Some("***")),
            ("host", "a_text", "'https:/thandi/x'", Some("***")),
            ("host", "a_text", "NULL", None),
            ("network", "a_text", "'10.1.2.3'", Some("10.1.2.0/24")),
            ("network", "a_text", "'10.1.2.3/8'", Some("10.1.2.0/24")),
            ("network", "a_text", "'10.1.2.3/x'", Some("***")),
            ("network", "a_text", "NULL", None),
            ("first(2)", "a_text", "''", Some("")),
            ("last(2)", "a_text", "'ab'", Some("**")),
            ("last(2)", "a_text", "NULL", None),
            ("month", "a_date", "'0044-03-15 BC'", Some("0044-03-01 BC")),
            ("month", "a_date", "'4713-01-01 BC'", None),
            ("month", "a_date", "'294275-12-31'", Some("294275-12-01")),
            ("month", "a_date", "'294276-01-01'", None),
            ("decade", "a_date", "'0009-12-31'", Some("0001-01-01 BC")),
            ("week", "a_date", "'-infinity'", Some("-infinity")),
            ("hour", "a_timestamptz", "'infinity'", Some("infinity")),
            ("year", "a_timestamp", "'4713-01-01 BC'", None),
            ("year", "a_timestamp", "NULL", None),
            ("band(1000)", "an_integer", "-2147483648", Some("-2147483648")),
            ("band(1000)", "an_integer", "-2147483000", Some("-2147483000")),
            ("band(1000)", "an_integer", "-1", Some("-1000")),
            ("band(1000)", "an_integer", "-1000", Some("-1000")),
            ("band(1000)", "an_integer", "2147483647", Some("2147483000")),
            ("band(4000000000)", "an_integer", "-1", Some("-2147483648")),
            ("band(1000)", "a_bigint", "-9223372036854775808", Some("-9223372036854775808")),
            ("band(9000000000000000000)", "a_bigint", "9223372036854775807", Some("9000000000000000000")),
            ("band(9000000000000000000)", "a_bigint", "NULL", None),
            ("band(1000)", "a_numeric", "-9999999999.99", Some("-9999999999.99")),
            ("band(1000)", "a_numeric", "-9999999000", Some("-9999999000.00")),
            ("band(1000)", "a_numeric", "'NaN'", Some("NaN")),
            ("band(1000)", "a_numeric", "NULL", None),
        ] {
            zoo.client.batch_execute(&format!("UPDATE zoo SET {column} = {value} WHERE id = 1")).await.unwrap();
            assert_eq!(zoo.seen(mask, "care", column).await[0].as_deref(), want, "{mask} over {column} = {value}");
        }
    });
}
