import Models
import Testing

@testable import Trainer

private struct EmbeddingTrial: Trial {
    var rows: Int, columns: Int, vocabulary = 11
    var factor: Float = 1

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        let engine = bench.engine
        var numbers = Numbers(seed: rows * columns)
        let shape = RowShape(rows: rows, columns: columns)
        let tokens = try bench.input(numbers.indices(rows, below: vocabulary))
        let table = numbers.floats(vocabulary * columns)
        let dOut = numbers.floats(rows * columns)
        engine.embed(
            try bench.output("out", count: shape.count), table: try bench.input(table), indices: tokens,
            factor: factor, shape: shape, adds: false)
        engine.embed(
            try bench.output("out, added to", dOut), table: try bench.input(table), indices: tokens,
            factor: factor, shape: shape, adds: true)
        engine.embedBackward(
            dTable: try bench.output("dTable", count: table.count), dOut: try bench.input(dOut),
            indices: tokens, factor: factor, shape: shape, accumulate: false)
        engine.embedBackward(
            dTable: try bench.output("dTable, added to", table), dOut: try bench.input(dOut), indices: tokens,
            factor: factor, shape: shape, accumulate: true)
    }
}

@Suite struct EmbeddingTests {
    // 16 columns are a block of the backward pass; 300 columns of 70 rows are two pieces.
    @Test(arguments: [(1, 1), (5, 15), (3, 16), (9, 17), (70, 33), (70, 300), (40, 1_000)])
    func twins(rows: Int, columns: Int) throws {
        try expectTwins(EmbeddingTrial(rows: rows, columns: columns))
        try expectTwins(EmbeddingTrial(rows: rows, columns: columns, factor: 3.7))
    }

    @Test(arguments: [(1, 1), (4, 3), (7, 5)], [1, 1.5] as [Float])
    func gradients(size: (rows: Int, columns: Int), factor: Float) {
        var numbers = Numbers(seed: size.rows)
        let engine = ReferenceEngine()
        let shape = RowShape(rows: size.rows, columns: size.columns)
        let tokens = ReferenceTensor(numbers.indices(shape.rows, below: 6))
        let table = numbers.doubles(6 * shape.columns)
        let dOut = numbers.doubles(shape.count)
        let dTable = ReferenceTensor.zeros(table.count)
        engine.embedBackward(
            dTable: dTable, dOut: Tensor(dOut), indices: tokens, factor: factor, shape: shape,
            accumulate: false)
        expectGradient(dTable.values, at: table) { table in
            let out = ReferenceTensor.zeros(shape.count)
            engine.embed(
                out, table: Tensor(table), indices: tokens, factor: factor, shape: shape, adds: false)
            return dot(out.values, dOut)
        }
    }

    @Test func partsOfIndices() throws {
        let engine = try CPUEngine(threads: 1)
        let part = try integers([3, 1, 4, 1, 5, 9, 2, 6], on: engine)[2..<7][1..<4]
        #expect(values(part, on: engine) == [1, 5, 9])
        let table = try tensor((0..<10).map(Float.init), on: engine)
        let out = Tensor(try engine.makeBuffer(count: 3))
        engine.embed(
            out, table: table, indices: part, factor: 1, shape: RowShape(rows: 3, columns: 1), adds: false)
        #expect(values(out, on: engine) == [1, 5, 9])
    }
}

private struct SumTrial: Trial {
    var count: Int
    var factor: Float

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        let engine = bench.engine
        var numbers = Numbers(seed: count)
        let (x, delta) = (numbers.floats(count), numbers.floats(count))
        engine.add(
            try bench.output("sum", count: count), try bench.input(x), try bench.input(delta), factor: factor)
        let place = try bench.output("sum in place", x)
        engine.add(place, place, try bench.input(delta), factor: factor)
        engine.scale(try bench.output("product", count: count), try bench.input(x), factor: factor)
        let other = try bench.output("product in place", x)
        engine.scale(other, other, factor: factor)
        let scalar = engine.makeScalar()
        engine.set(scalar, to: 2)
        engine.addSum(of: try bench.input(x.map { $0 + 1 }), to: scalar)
        bench.note("sum of all", engine.read(scalar))
    }
}

@Suite struct SumTests {
    @Test(arguments: [1, 17, 5_461, 16_385, 40_000], [1, -0.3] as [Float])
    func twins(count: Int, factor: Float) throws {
        try expectTwins(SumTrial(count: count, factor: factor))
    }

    /// A factor of one rounds like an addition without one.
    @Test func aFactorOfOneIsPlainAddition() throws {
        var numbers = Numbers(seed: 4)
        let (x, delta) = (numbers.floats(1_000), numbers.floats(1_000, scale: 1e-3))
        let engine = try CPUEngine(threads: 2)
        let sum = Tensor(try engine.makeBuffer(count: 1_000))
        engine.add(sum, try tensor(x, on: engine), try tensor(delta, on: engine), factor: 1)
        #expect(values(sum, on: engine) == zip(x, delta).map(+))
    }
}
