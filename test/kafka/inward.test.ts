import { afterAll, beforeAll, describe, expect } from 'vitest'
import { kafkaAvailable } from './broker.mjs'
import { bridgesIn } from './inward-bridges.js'
import { kafkaSource } from './inward-source.js'
import { InwardWorld } from './inward-world.js'

// All that comes in from Kafka, of one broker and one daemon: each takes seconds to start.
describe.skipIf(!kafkaAvailable())('from Kafka', () => {
  const world = new InwardWorld()
  beforeAll(() => world.open())
  afterAll(async () => {
    expect(await world.close()).toBe(0)
  })

  describe('a bridge in', () => bridgesIn(world))
  describe('a Kafka source', () => kafkaSource(world))
})
