/** What a user's module imports: the client, and the pipeline API. */
export {
  type Client,
  type ClientRecord,
  type ConnectOptions,
  connect,
  type HandlerContext,
  type NewClientRecord,
  type Producer,
  type ProducerOptions,
  type Start,
  type Subscribed,
  type SubscribeOptions,
} from './client/index.js'
export {
  type Change,
  Flow,
  file,
  type Item,
  type ItemKey,
  type ItemValue,
  KeyedFlow,
  type KeyValue,
  pipeline,
  type Sink,
  type SinkItem,
  type SinkRecord,
  type Source,
  type StreamKey,
  type StreamRecord,
  stream,
  table,
} from './operators/index.js'
export { type ErrorCode, MillraceError } from './runtime/errors.js'
