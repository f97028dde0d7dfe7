import { MillraceError } from '../runtime/index.js'
import { newTopicPartitions } from './options.js'
import type { KafkaAdmin, TopicDescription } from './types.js'

export interface TopicWish {
  readonly topic: string
  /** How many partitions it must have; undefined takes what is there. */
  readonly partitions?: number | undefined
  readonly replicationFactor?: number | undefined
  /** What it is created with. */
  readonly topicConfig: Readonly<Record<string, string>>
  /** Settings of these that one which is there must have; by default all. */
  readonly checked?: readonly string[]
  readonly createTopic: boolean
  /**
   * Partitions that the bridge has already sent to. From then on the topic must stay as it is: with another number the
   * same key would go to another partition, and a missing topic took with it what was delivered.
   */
  readonly settledPartitions: number | undefined
}

const refused = (message: string, remedy: string, topic: string): MillraceError =>
  new MillraceError('KAFKA_REFUSED', message, { remedy, details: { topic } })

/** The topic as the bridge needs it, created when it may be. Throws KAFKA_REFUSED with what to do. */
export async function prepareTopic(admin: KafkaAdmin, wish: TopicWish): Promise<TopicDescription> {
  const { topic, settledPartitions } = wish
  const wanted = settledPartitions ?? wish.partitions
  const checked = wish.checked ?? Object.keys(wish.topicConfig)
  let found = await admin.describeTopic(topic, checked)
  if (!found) {
    if (settledPartitions !== undefined) {
      throw refused(
        `The topic ${topic}, to which changes were delivered before, is gone.`,
        `Delete the bridge and create it again to deliver from the start, or create the topic with ${settledPartitions} partitions and resume the bridge to go on.`,
        topic,
      )
    }
    const partitions = wanted ?? newTopicPartitions
    if (!wish.createTopic) {
      throw refused(
        `There is no topic ${topic}, and the bridge may not create it.`,
        `Create it with ${partitions} partitions and resume the bridge, or allow createTopic.`,
        topic,
      )
    }
    await admin.createTopic(topic, { partitions, replicationFactor: wish.replicationFactor, config: wish.topicConfig })
    found = await admin.describeTopic(topic, checked)
    if (!found)
      throw new MillraceError('KAFKA_UNAVAILABLE', `The topic ${topic} was created and is not there yet.`, {
        details: { topic },
      })
  }
  if (wanted !== undefined && found.partitions !== wanted) {
    throw refused(
      `The topic ${topic} has ${found.partitions} partitions and the bridge ${settledPartitions === undefined ? 'asks for' : 'has delivered to'} ${wanted}: keys would change their partition.`,
      'Delete the bridge and create it again for another topic, or with the number of partitions that the topic has.',
      topic,
    )
  }
  checkConfig(found, wish, checked)
  return found
}

/** A topic that loses what it must keep, or keeps what it should forget, is found out before anything is sent there. */
function checkConfig(
  { config }: TopicDescription,
  { topic, topicConfig }: TopicWish,
  checked: readonly string[],
): void {
  const faults = checked.filter((name) => {
    const found = config?.[name]
    // What the broker does not let us read is not looked at.
    return found !== undefined && !isAsAsked(name, found, topicConfig[name] ?? '')
  })
  if (faults.length === 0) return
  const wanted = faults.map((name) => `${name}=${topicConfig[name]} (it has ${config?.[name] || 'none'})`)
  throw refused(
    `The topic ${topic} is not configured as the bridge needs it: ${wanted.join(', ')}.`,
    `Change it with \`kafka-configs --alter --topic ${topic} --add-config ...\` and resume the bridge, or create the bridge without that setting.`,
    topic,
  )
}

/** A limit that was raised since, as is told to who sends what is larger, is no fault. */
const isAsAsked = (name: string, found: string, asked: string): boolean =>
  normal(found) === normal(asked) || (name === 'max.message.bytes' && Number(found) > Number(asked))

/** Lists such as that of cleanup policies have no order. */
const normal = (value: string): string =>
  value
    .split(',')
    .map((part) => part.trim())
    .sort()
    .join(',')
