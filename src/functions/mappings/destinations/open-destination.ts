import type { CommitPath } from '../../../commit/index.js'
import type { Log } from '../../../log/index.js'
import { type Clock, MillraceError } from '../../../runtime/index.js'
import { sinkPath, type TopicAccess } from '../../../sinks/index.js'
import type { Destination } from './destination.js'
import type { DestinationFiles } from './file-destination.js'
import { HttpDestination, shownUrl } from './http-destination.js'
import { KafkaDestination } from './kafka-destination.js'
import type { DestinationPlace } from './place.js'
import { StreamDestination } from './stream-destination.js'
import { type DestinationTables, TableDestination, takesDocuments } from './table-destination.js'

/** What destinations stand on. */
export interface DestinationRooms {
  readonly log: Pick<Log, 'streamNamed'>
  readonly commit: Pick<CommitPath, 'submit'>
  readonly tables: DestinationTables
  readonly kafka: TopicAccess
  readonly clock: Clock
  readonly files: DestinationFiles
  /** Where relative paths of files lie, and whether others may be named. */
  readonly filesFolder: string
  readonly filesOutside: boolean
}

/** Connects to nothing yet. Throws BAD_REQUEST, NOT_FOUND, PIPELINE_INVALID for what cannot be one. */
export function openDestination(place: DestinationPlace, rooms: DestinationRooms, clientId: string): Destination {
  const { log, commit, tables, kafka, clock, files } = rooms
  switch (place.kind) {
    case 'stream':
      return new StreamDestination(place.name, log, commit)
    case 'table':
      return new TableDestination(place.name, tables, commit)
    case 'file':
      return files.at(sinkPath(place.path, rooms.filesFolder, rooms.filesOutside, 'The file'))
    case 'http':
      checkUrl(place.url)
      return new HttpDestination(place.url, clock)
    case 'kafka': {
      const { cluster, topic } = place
      const brokers = cluster === undefined ? kafka.brokers : []
      return new KafkaDestination(kafka.open({ topic, cluster, brokers, clientId, compression: 'none' }), kafka)
    }
  }
}

/** What can be known of a place before anything goes there. Throws as `openDestination`. */
export function checkPlace(place: DestinationPlace, rooms: DestinationRooms): void {
  switch (place.kind) {
    case 'stream': {
      const stream = rooms.log.streamNamed(place.name)
      if (!stream) throw new MillraceError('NOT_FOUND', `There is no stream named ${place.name}.`)
      if (stream.kind === 'table') throw new MillraceError('BAD_REQUEST', `${place.name} is the change log of a table.`)
      return
    }
    case 'table': {
      const schema = rooms.tables.schema(place.name)
      if (!schema) throw new MillraceError('NOT_FOUND', `There is no table named ${place.name}.`)
      if (!takesDocuments(schema))
        throw new MillraceError(
          'BAD_REQUEST',
          `The partition key of ${place.name} must be a string, and its sort key a string or a number.`,
        )
      return
    }
    case 'kafka':
      if (place.cluster !== undefined && !rooms.kafka.clusters.includes(place.cluster))
        throw new MillraceError('NOT_FOUND', `No Kafka cluster ${place.cluster} is configured.`)
      if (place.cluster === undefined && rooms.kafka.brokers.length === 0)
        throw new MillraceError('BAD_REQUEST', 'No Kafka brokers are configured.')
      return
    case 'file':
      sinkPath(place.path, rooms.filesFolder, rooms.filesOutside, 'The file')
      return
    case 'http':
      checkUrl(place.url)
  }
}

/** No request is made with such a URL, and it would stand in every description. Throws BAD_REQUEST. */
function checkUrl(url: string): void {
  const { username, password } = new URL(url)
  if (username !== '' || password !== '')
    throw new MillraceError('BAD_REQUEST', `The destination ${shownUrl(url)} has a user or a password in its URL.`)
}
