export type { BridgeStatistics, BridgeSurroundings, ConverterRooms } from './bridge.js'
export type { BridgeState } from './bridge-state.js'
export { Bridges, type BridgesOptions, type BridgeView, bridgeGroupName, bridgesMax } from './bridges.js'
export { canonicalKey } from './canonical-key.js'
export { type ClusterSettings, Clusters, openWith } from './clusters.js'
export type { Change, DecodeChange, Origin } from './encoder.js'
export { type IntakeOptions, type IntakeRequest, intakeFormats, unreadableWays } from './intake/options.js'
export { readTopic } from './intake/part-reader.js'
export { isOfContent } from './kafka-errors.js'
export { openKafkajsCluster } from './kafkajs-client.js'
export { murmur2, partitionOf } from './murmur2.js'
export {
  type BridgeOptions,
  type BridgeRequest,
  checkBridgeRequest,
  guarantees,
  imageStyles,
  messageFormats,
  refusedWays,
} from './options.js'
export { type TopicMessage, TopicSender, type TopicSenderOptions } from './topic-sender.js'
export * from './types.js'
