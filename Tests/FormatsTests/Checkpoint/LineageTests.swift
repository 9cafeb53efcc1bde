import OrderedCollections
import Testing

@testable import Formats

@Suite("Where a result's rows come from")
struct LineageTests {
    private func leaf(_ name: String, _ shape: [Int] = [4, 2]) throws -> Provenance {
        try .copied(file: 0, tensor: name, offset: 8, type: .f32, shape: shape)
    }

    private func lineage(
        _ provenance: OrderedDictionary<String, Provenance>
    ) -> OrderedDictionary<String, Lineage> {
        Manifest(tool: "test", operations: [], sources: [], provenance: provenance).lineage
    }

    private func run(
        _ rows: Range<Int>, _ kind: Lineage.Kind, _ tensor: String? = nil, from row: Int = 0
    ) -> Lineage.Run {
        Lineage.Run(rows: rows, kind: kind, source: tensor.map { .init(file: 0, tensor: $0, row: row) })
    }

    /// Layer 10 has the same numbers as layer 2, and comes behind it however names are sorted.
    @Test func theFirstLayerIsTheCopy() throws {
        let result = lineage([
            "layers.10.w": try leaf("layers.2.w"), "layers.2.w": try leaf("layers.2.w").cast(to: .bf16),
            "layers.11.w": try leaf("layers.2.w").zeroed(),
        ])
        #expect(Array(result.keys) == ["layers.10.w", "layers.2.w", "layers.11.w"])
        #expect(result["layers.2.w"]?.runs == [run(0..<4, .copied, "layers.2.w")])
        #expect(result["layers.10.w"]?.runs == [run(0..<4, .duplicated, "layers.2.w")])
        #expect(result["layers.11.w"]?.kind == .fresh)
    }

    @Test func rowsOfAResizedVocabulary() throws {
        let old = try leaf("embed", [6, 2])
        var sums = RowCombinations()
        sums.append(meanOf: [0, 1])
        let parts: [Provenance] = [
            try old.rows(0..<2), try old.rows(2..<4), try old.derived(.gathered([5, 4, 0, 1])),
            try old.derived(.combined(sums)), try .zeros(.f32, shape: [2, 2]),
        ]
        let result = try #require(lineage(["embed": .joined(parts)])["embed"])
        #expect(
            result.runs == [
                run(0..<4, .copied, "embed"), run(4..<5, .copied, "embed", from: 5),
                run(5..<6, .copied, "embed", from: 4), run(6..<8, .copied, "embed"), run(8..<11, .fresh),
            ])
        #expect(result.kind == nil && result.count(.fresh) == 3 && result.count(.copied) == 8)
        // Some rows of it, as another operation may take them.
        let some = try #require(lineage(["embed": .joined(parts).rows(3..<9)])["embed"])
        #expect(
            some.runs == [
                run(0..<1, .copied, "embed", from: 3), run(1..<2, .copied, "embed", from: 5),
                run(2..<3, .copied, "embed", from: 4), run(3..<5, .copied, "embed"), run(5..<6, .fresh),
            ])
    }

    @Test func whatIsNoCopy() throws {
        let w = try leaf("w")
        let noise = NoiseRule(share: 0.1, deviation: 1, seed: 0)
        let result = lineage([
            "a": try w.scaled(by: 0.5), "b": try w.noised(noise), "c": try w.transposed(),
            "d": try .computed("steps", type: .f32, shape: [4, 2]), "e": try leaf("s", []),
            "f": try .joined([w, .zeros(.f32, shape: [4, 2])]).reshaped(to: [2, 8]),
            "g": try leaf("n", [0, 2]),
        ])
        #expect(
            result.values.map(\.kind) == [.changed, .changed, .copied, .computed, .copied, .changed, nil])
        #expect(result["c"]?.runs == [run(0..<2, .copied, "w")])
        #expect(result["e"]?.runs == [run(0..<1, .copied, "s")])
        #expect(result["g"]?.runs == [])
    }

    /// Of summed rows those of the first operand tell, or of another one where that begins with nothing.
    @Test func sums() throws {
        let (a, b) = (try leaf("a"), try leaf("b", [6, 2]))
        let grown = try Provenance.joined([a, .zeros(.f32, shape: [2, 2])])
        let result = lineage([
            "a": try .weighted([a, a.scaled(by: 2)], by: [1, 0.5], as: .bf16),
            "b": try .weighted([grown, b], by: [1, -1], as: .f32),
            "c": try .weighted([a.zeroed(), a.zeroed()], by: [1, 1], as: .f32),
        ])
        #expect(result["a"]?.runs == [run(0..<4, .changed, "a")])
        #expect(result["b"]?.runs == [run(0..<4, .changed, "a"), run(4..<6, .changed, "b", from: 4)])
        #expect(result["c"]?.kind == .fresh)
    }
}
