//! Inserting many rows at once.

use sea_orm::sea_query::{Expr, OnConflict, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityName, EntityTrait, IdenStatic,
    IntoActiveModel, Iterable, ModelTrait,
};

/// Inserts whole rows in one statement; answers how many. `insert_many` looks in each row for columns that none of them has
/// set, which costs as much as the statement.
pub async fn add<M>(
    on: &DatabaseTransaction,
    rows: impl Iterator<Item = M>,
    conflict: &OnConflict,
) -> Result<u64, DbErr>
where
    M: ModelTrait + IntoActiveModel<<M::Entity as EntityTrait>::ActiveModel>,
{
    let columns = || <M::Entity as EntityTrait>::Column::iter();
    let mut insert = Query::insert();
    insert.into_table(M::Entity::default().table_ref()).columns(columns());
    for row in rows {
        let mut row = row.into_active_model();
        let values = columns().map(|column| {
            let value = row.take(column).into_value();
            let value = value.ok_or_else(|| DbErr::AttrNotSet(column.as_str().to_owned()))?;
            Ok(column.save_as(Expr::value(value)))
        });
        let values: Vec<_> = values.collect::<Result<_, DbErr>>()?;
        insert
            .values(values)
            .map_err(|error| DbErr::Custom(error.to_string()))?;
    }
    insert.on_conflict(conflict.clone());
    Ok(on.execute(&insert).await?.rows_affected())
}
