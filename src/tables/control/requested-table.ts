import type { Catalogue } from '../catalogue/catalogue.js'
import type { TableRow } from '../catalogue/table-row.js'
import { notFound } from '../requests/aws-error.js'
import { Constraints, describedTableName, type Input, tableName } from '../requests/request.js'

/** The table that a request of the control plane names. Throws ValidationException, ResourceNotFoundException. */
export function requestedTable(catalogue: Catalogue, input: Input): TableRow {
  const name = describedTableName(input)
  const constraints = new Constraints()
  tableName({ TableName: name }, constraints)
  constraints.done()
  const table = catalogue.get(name)
  if (!table) throw notFound(`Requested resource not found: Table: ${name} not found`)
  return table.row
}
