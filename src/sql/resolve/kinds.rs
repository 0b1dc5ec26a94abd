//! Statements that are not carried out in sqlparser's AST: each is named, so that one which a new version of it brings does not
//! compile until somebody has decided it.
//!
//! What steers the session (BEGIN, SET, COPY, DECLARE ...) has its own AST in `sql::utility`, what changes the structure in
//! `sql::ddl`; neither comes here.

use sqlparser::ast::Statement;

/// The name of the statement's kind, without anything that the client wrote; `None` where it is carried out.
pub(super) fn refused_kind(statement: &Statement) -> Option<String> {
    match statement {
        Statement::Query(_)
        | Statement::Insert(_)
        | Statement::Update(_)
        | Statement::Delete(_)
        | Statement::Merge(_)
        | Statement::Call(_) => None,
        Statement::Analyze(..)
        | Statement::Set(..)
        | Statement::Truncate(..)
        | Statement::Msck(..)
        | Statement::Install { .. }
        | Statement::Load { .. }
        | Statement::Directory { .. }
        | Statement::Case(..)
        | Statement::If(..)
        | Statement::While(..)
        | Statement::Raise(..)
        | Statement::Copy { .. }
        | Statement::CopyIntoSnowflake { .. }
        | Statement::Open(..)
        | Statement::Close { .. }
        | Statement::CreateView(..)
        | Statement::CreateTable(..)
        | Statement::CreateVirtualTable { .. }
        | Statement::CreateIndex(..)
        | Statement::CreateRole(..)
        | Statement::CreateSecret { .. }
        | Statement::CreateServer(..)
        | Statement::CreateForeignTable(..)
        | Statement::CreateForeignDataWrapper(..)
        | Statement::CreateUserMapping(..)
        | Statement::CreateRule(..)
        | Statement::CreateAggregate(..)
        | Statement::CreatePolicy(..)
        | Statement::CreateConnector(..)
        | Statement::CreateOperator(..)
        | Statement::CreateOperatorFamily(..)
        | Statement::CreateOperatorClass(..)
        | Statement::CreateTextSearch(..)
        | Statement::AlterTable(..)
        | Statement::AlterSchema(..)
        | Statement::AlterIndex { .. }
        | Statement::AlterView(..)
        | Statement::AlterTrigger(..)
        | Statement::AlterDefaultPrivileges(..)
        | Statement::AlterFunction(..)
        | Statement::AlterType(..)
        | Statement::AlterCollation(..)
        | Statement::AlterOperator(..)
        | Statement::AlterOperatorFamily(..)
        | Statement::AlterOperatorClass(..)
        | Statement::AlterTextSearch(..)
        | Statement::AlterRole { .. }
        | Statement::AlterPolicy(..)
        | Statement::AlterConnector { .. }
        | Statement::AlterSession { .. }
        | Statement::AttachDatabase { .. }
        | Statement::AttachDuckDBDatabase { .. }
        | Statement::DetachDuckDBDatabase { .. }
        | Statement::Drop { .. }
        | Statement::DropFunction(..)
        | Statement::DropDomain(..)
        | Statement::DropProcedure { .. }
        | Statement::DropSecret { .. }
        | Statement::DropPolicy(..)
        | Statement::DropRule(..)
        | Statement::DropConnector { .. }
        | Statement::Declare { .. }
        | Statement::CreateExtension(..)
        | Statement::CreateCollation(..)
        | Statement::DropExtension(..)
        | Statement::DropOperator(..)
        | Statement::DropOperatorFamily(..)
        | Statement::DropOperatorClass(..)
        | Statement::Fetch { .. }
        | Statement::Flush { .. }
        | Statement::Discard { .. }
        | Statement::ShowFunctions { .. }
        | Statement::ShowVariable { .. }
        | Statement::ShowStatus { .. }
        | Statement::ShowVariables { .. }
        | Statement::ShowCreate { .. }
        | Statement::ShowColumns { .. }
        | Statement::ShowCatalogs { .. }
        | Statement::ShowDatabases { .. }
        | Statement::ShowProcessList { .. }
        | Statement::ShowSchemas { .. }
        | Statement::ShowCharset(..)
        | Statement::ShowObjects(..)
        | Statement::ShowTables { .. }
        | Statement::ShowViews { .. }
        | Statement::ShowCollation { .. }
        | Statement::Use(..)
        | Statement::StartTransaction { .. }
        | Statement::Comment { .. }
        | Statement::Commit { .. }
        | Statement::Rollback { .. }
        | Statement::CreateSchema { .. }
        | Statement::CreateDatabase { .. }
        | Statement::CreateFunction(..)
        | Statement::CreateTrigger(..)
        | Statement::DropTrigger(..)
        | Statement::CreateProcedure { .. }
        | Statement::CreateMacro { .. }
        | Statement::CreateStage { .. }
        | Statement::CreateFileFormat { .. }
        | Statement::CreateWarehouse(..)
        | Statement::Assert { .. }
        | Statement::Grant(..)
        | Statement::GrantRole(..)
        | Statement::RevokeRole(..)
        | Statement::RefreshMaterializedView(..)
        | Statement::Deny(..)
        | Statement::Revoke(..)
        | Statement::Deallocate { .. }
        | Statement::Execute { .. }
        | Statement::Prepare { .. }
        | Statement::Kill { .. }
        | Statement::ExplainTable { .. }
        | Statement::Explain { .. }
        | Statement::Savepoint { .. }
        | Statement::ReleaseSavepoint { .. }
        | Statement::Cache { .. }
        | Statement::UNCache { .. }
        | Statement::CreateSequence { .. }
        | Statement::CreateDomain(..)
        | Statement::CreateType { .. }
        | Statement::Pragma { .. }
        | Statement::Lock(..)
        | Statement::LockTables { .. }
        | Statement::UnlockTables
        | Statement::Unload { .. }
        | Statement::OptimizeTable { .. }
        | Statement::LISTEN { .. }
        | Statement::UNLISTEN { .. }
        | Statement::NOTIFY { .. }
        | Statement::LoadData { .. }
        | Statement::RenameTable(..)
        | Statement::List(..)
        | Statement::Put { .. }
        | Statement::Remove(..)
        | Statement::RaisError { .. }
        | Statement::Throw(..)
        | Statement::Print(..)
        | Statement::WaitFor(..)
        | Statement::Return(..)
        | Statement::ExportData(..)
        | Statement::CreateUser(..)
        | Statement::AlterUser(..)
        | Statement::Vacuum(..)
        | Statement::Reset(..) => {
            let text = format!("{statement:?}");
            Some(text.chars().take_while(char::is_ascii_alphanumeric).collect())
        }
    }
}
