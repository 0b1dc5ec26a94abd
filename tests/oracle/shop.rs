//! The tables as the generator knows them: names, types and which purpose may see which column.

use super::generate::Ty;

/// One column; `denied` holds the letters of the purposes that may not see it: `s`upport, `m`arketing.
#[derive(Debug)]
pub struct Column {
    pub name: &'static str,
    pub ty: Ty,
    pub denied: &'static str,
}

#[derive(Debug)]
pub struct Table {
    /// As it is written in FROM.
    pub name: &'static str,
    /// As its columns are qualified by.
    pub bare: &'static str,
    pub columns: &'static [Column],
    pub key: &'static [&'static str],
    /// Whether both purposes may change a column of it, and so lock it.
    pub writable: bool,
}

const fn seen(name: &'static str, ty: Ty) -> Column {
    Column { name, ty, denied: "" }
}

const fn but(denied: &'static str, name: &'static str, ty: Ty) -> Column {
    Column { name, ty, denied }
}

const fn table(
    name: &'static str,
    bare: &'static str,
    key: &'static [&'static str],
    writable: bool,
    columns: &'static [Column],
) -> Table {
    Table { name, bare, columns, key, writable }
}

pub const TABLES: &[Table] = &[
    table(
        "customers",
        "customers",
        &["id"],
        false,
        &[
            seen("id", Ty::Int),
            seen("full_name", Ty::Text),
            seen("email", Ty::Text),
            but("m", "phone", Ty::Text),
            but("m", "id_number", Ty::Text),
            seen("date_of_birth", Ty::Date),
            seen("points", Ty::Int),
            but("m", "balance", Ty::Num),
            seen("city", Ty::Text),
            seen("\"Weird Name\"", Ty::Text),
            seen("tags", Ty::Tags),
            seen("extra", Ty::Json),
            seen("ref", Ty::Uuid),
            seen("active", Ty::Bool),
            seen("feeling", Ty::Mood),
            seen("referrer_id", Ty::Int),
            seen("created_at", Ty::Time),
            but("sm", "health_note", Ty::Text),
        ],
    ),
    table(
        "orders",
        "orders",
        &["order_id"],
        true,
        &[
            seen("order_id", Ty::Int),
            seen("customer_id", Ty::Int),
            seen("total", Ty::Num),
            seen("status", Ty::Text),
            seen("\"Order\"", Ty::Int),
            seen("created_at", Ty::Time),
            but("m", "note", Ty::Text),
        ],
    ),
    table(
        "archive.orders",
        "orders",
        &["order_id"],
        false,
        &[seen("order_id", Ty::Int), seen("customer_id", Ty::Int), seen("total", Ty::Num), seen("closed", Ty::Date)],
    ),
    table(
        "order_items",
        "order_items",
        &["order_id", "line"],
        false,
        &[
            seen("order_id", Ty::Int),
            seen("line", Ty::Int),
            seen("product_id", Ty::Int),
            seen("quantity", Ty::Int),
            seen("price", Ty::Num),
        ],
    ),
    table(
        "products",
        "products",
        &["product_id"],
        false,
        &[seen("product_id", Ty::Int), seen("name", Ty::Text), seen("price", Ty::Num), seen("parent_id", Ty::Int)],
    ),
    table(
        "tickets",
        "tickets",
        &["ticket_id"],
        true,
        &[
            seen("ticket_id", Ty::Int),
            seen("customer_id", Ty::Int),
            but("m", "subject", Ty::Text),
            but("sm", "body", Ty::Text),
            seen("status", Ty::Text),
            seen("urgency", Ty::Int),
            seen("created_at", Ty::Time),
        ],
    ),
    table(
        "notes",
        "notes",
        &["note_id"],
        true,
        &[seen("note_id", Ty::Int), seen("customer_id", Ty::Int), seen("label", Ty::Text), seen("n", Ty::Int)],
    ),
];
