import Testing

@testable import Trainer

private struct EmbeddingTrial: Trial {
    var rows: Int, columns: Int, vocabulary = 11

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        var numbers = Numbers(seed: rows * columns)
        let shape = RowShape(rows: rows, columns: columns)
        let tokens = bench.engine.makeIndices(numbers.indices(rows, below: vocabulary))
        let table = numbers.floats(vocabulary * columns)
        let dOut = try bench.input(numbers.floats(rows * columns))
        bench.engine.embed(
            try bench.output("out", count: shape.count), table: Stored(values: try bench.input(table)),
            tokens: tokens,
            shape: shape)
        bench.engine.embedBackward(
            dTable: try bench.output("dTable", count: table.count), dOut: dOut, tokens: tokens, shape: shape,
            accumulate: false)
        bench.engine.embedBackward(
            dTable: try bench.output("dTable, added to", table), dOut: dOut, tokens: tokens, shape: shape,
            accumulate: true)
    }
}

@Suite struct EmbeddingTests {
    // 16 columns are a block of the backward pass; 300 columns of 70 rows are two pieces.
    @Test(arguments: [(1, 1), (5, 15), (3, 16), (9, 17), (70, 33), (70, 300), (40, 1_000)])
    func twins(rows: Int, columns: Int) throws {
        try expectTwins(EmbeddingTrial(rows: rows, columns: columns))
    }

    @Test(arguments: [(1, 1), (4, 3), (7, 5)]) func gradients(rows: Int, columns: Int) {
        var numbers = Numbers(seed: rows)
        let engine = ReferenceEngine()
        let shape = RowShape(rows: rows, columns: columns)
        let tokens = numbers.indices(rows, below: 6)
        let table = numbers.doubles(6 * columns)
        let dOut = numbers.doubles(rows * columns)
        let dTable = ReferenceBuffer(zeros(table.count))
        engine.embedBackward(
            dTable: dTable, dOut: ReferenceBuffer(dOut), tokens: tokens, shape: shape, accumulate: false)
        expectGradient(dTable.values, at: table) { table in
            let out = ReferenceBuffer(zeros(shape.count))
            engine.embed(out, table: Stored(values: ReferenceBuffer(table)), tokens: tokens, shape: shape)
            return dot(out.values, dOut)
        }
    }

    @Test func partsOfIndices() throws {
        let engine = try CPUEngine(threads: 1)
        let all = engine.makeIndices([3, 1, 4, 1, 5, 9, 2, 6])
        let part = engine.slice(engine.slice(all, 2..<7), 1..<4)
        #expect(Array(part) == [1, 5, 9])
        let table = try buffer((0..<10).map(Float.init), on: engine)
        let out = try engine.makeBuffer(count: 3)
        engine.embed(out, table: Stored(values: table), tokens: part, shape: RowShape(rows: 3, columns: 1))
        #expect(values(out, on: engine) == [1, 5, 9])
    }
}
