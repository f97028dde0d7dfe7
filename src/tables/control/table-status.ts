import type { TableRow } from '../catalogue/table-row.js'
import { isFilling } from '../indexes/definition.js'
import { takesWrites } from '../replication/members.js'
import { inUse, validation } from '../requests/aws-error.js'

export type TableStatus = 'CREATING' | 'UPDATING' | 'ACTIVE' | 'DELETING'

/** What a table's description says that it is at a time (milliseconds since 1970). */
export function statusOf(
  { state, details, replication }: Pick<TableRow, 'state' | 'details' | 'replication'>,
  now: number,
): TableStatus {
  // A replica that was taken out goes when it has brought out what it has.
  if (state === 'deleting' || (replication && !takesWrites(replication))) return 'DELETING'
  const busy = details?.busy
  return busy && now < busy.until ? busy.with : 'ACTIVE'
}

const stillInUse = 'Attempt to change a resource which is still in use: '

/** Throws ResourceInUseException while a table takes no change. */
export function refuseBusy(row: TableRow, now: number): void {
  const status = statusOf(row, now)
  if (status === 'CREATING') throw inUse(`${stillInUse}Table is being created: ${row.name}`)
  if (status === 'UPDATING') throw inUse(`${stillInUse}Table is being updated: ${row.name}`)
  if (status === 'DELETING') throw inUse(`${stillInUse}Table is being deleted: ${row.name}`)
}

/** The same for a deletion, which AWS has other words for. */
export function refuseDeletion(row: TableRow, now: number): void {
  if (statusOf(row, now) === 'UPDATING')
    throw inUse(`${stillInUse}Table: ${row.name} is in the process of being updated.`)
  refuseBusy(row, now)
}

/** Everything for which a deletion is refused: ResourceInUseException, or ValidationException of a protected table. */
export function refuseToDelete(row: TableRow, now: number): void {
  refuseDeletion(row, now)
  if (row.deletionProtection)
    throw validation(
      `Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.`,
    )
  if (row.indexes?.some((index) => isFilling(row, index)))
    throw inUse(`${stillInUse}Cannot delete table while indexes are being created, updated, or deleted.`)
}
