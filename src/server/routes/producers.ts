import { MillraceError } from '../../runtime/index.js'
import { numberOf, ok, only, plainStream, type Route, wholeNumberOf } from './route.js'

export const producerRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: 'streams/{name}/producers',
    summary:
      'Makes an idempotent producer, or opens one again, which fences whoever used it before. Its batches (docs/formats.md) carry producer, epoch, and numbers from `last` + 1 on; each number is stored once, however often it is sent.',
    body: '{producer?: the one to open again}',
    answer: '{producer, epoch, last: number of its last stored batch}',
    errors: ['NOT_FOUND', 'CONFLICT', 'PRODUCER_UNKNOWN', 'TOO_BUSY', 'STORAGE_FULL'],
    run: async ({ daemon: { rooms }, names, json }) => {
      const stream = plainStream(rooms, names[0])
      const body = await json()
      only(body, ['producer'])
      const producer = body.producer === undefined ? undefined : wholeNumberOf(body.producer, 'producer')
      if (producer === 0) throw new MillraceError('BAD_REQUEST', 'Producer 0 is nobody.')
      return ok(await rooms.producers.openProducer(stream.id, producer))
    },
  },
  {
    method: 'DELETE',
    path: 'streams/{name}/producers/{id}',
    summary: 'Forgets a producer that will not be used again, so that it counts no longer. Its records stay.',
    query: { epoch: 'that of its opening (required)' },
    answer: '{deleted: producer}',
    errors: ['NOT_FOUND', 'CONFLICT', 'PRODUCER_FENCED'],
    run: async ({ daemon: { rooms }, names, query }) => {
      const stream = plainStream(rooms, names[0])
      const producer = wholeNumberOf(Number(names[1]), 'A producer')
      await rooms.producers.closeProducer(stream.id, producer, numberOf(query, 'epoch'))
      return ok({ deleted: producer })
    },
  },
]
