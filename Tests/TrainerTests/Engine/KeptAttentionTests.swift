import Models
import Testing

@testable import Trainer

/// Rows of any sequences at any positions, over keys and values that are kept.
private struct KeptAttentionTrial: Trial {
    var shape: AttentionShape
    var window: Int?
    var hasBias = false, hasSinks = false

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        let (engine, T) = (bench.engine, shape.sequenceLength)
        var numbers = Numbers(seed: shape.keptCount)
        // Each sequence once, at a position of its own; the first at 0 and the last at the end.
        let positions = (0..<shape.batch).map { $0 * (T - 1) / max(1, shape.batch - 1) }
        let places = try bench.input(positions.enumerated().map { Int32($0 * T + $1) })
        let first = try bench.input(positions.map { Int32(max(0, $0 - (window ?? T) + 1)) })
        let qkv = try bench.input(numbers.floats(shape.batch * shape.qkvWidth, scale: 2))
        let bias = hasBias ? try bench.input(numbers.floats(shape.heads * T)) : nil
        let sinks = hasSinks ? try bench.input(numbers.floats(shape.heads, scale: 3)) : nil
        let kept = try bench.output("kept", numbers.floats(shape.keptCount, scale: 2))
        engine.keepKeysAndValues(kept, qkv: qkv, places: places, shape: shape)
        engine.attentionOverKept(
            try bench.output("out", count: shape.batch * shape.outputWidth), qkv: qkv, kept: kept,
            places: places, first: first, bias: bias, sinks: sinks, shape: shape)
    }
}

@Suite struct KeptAttentionTests {
    @Test(
        arguments: [(1, 1, 8), (4, 2, 10), (3, 3, 64), (5, 1, 7)], [Attention.Arrangement.stacked, .grouped])
    func twins(
        heads: (queries: Int, keyValues: Int, size: Int), arrangement: Attention.Arrangement
    ) throws {
        for (batch, time) in [(1, 1), (4, 70), (3, 200)] {
            var trial = KeptAttentionTrial(
                shape: AttentionShape(
                    batch: batch, sequenceLength: time, heads: heads.queries, keyValueHeads: heads.keyValues,
                    headSize: heads.size, arrangement: arrangement, scale: 0.4))
            try expectTwins(trial)
            (trial.window, trial.hasBias, trial.hasSinks, trial.shape.softCap) = (9, true, true, 2)
            try expectTwins(trial)
        }
    }
}
