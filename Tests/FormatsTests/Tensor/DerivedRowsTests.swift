import Foundation
import Testing

@testable import Formats

@Suite("Rows made of rows")
struct DerivedRowsTests {
    private func tensor(rows: Int = 40, width: Int = 3, type: ElementType = .f32) throws -> TensorExpression {
        let floats: [Float] = (0..<rows * width).map { (place: Int) -> Float in
            Float(place * 37 % 101 - 50) / 8
        }
        return try TensorExpression.stored(MemoryTensor(name: "w", shape: [rows, width], floats: floats))
            .cast(to: type)
    }

    @Test func gathersAndCombines() throws {
        let base = try tensor()
        let old = try base.floats()
        func row(_ index: Int) -> [Float] { Array(old[index * 3..<index * 3 + 3]) }
        #expect(try base.derived(.gathered([5, 0, 5])).floats() == row(5) + row(0) + row(5))
        var sums = RowCombinations()
        sums.append(meanOf: [1, 2])
        sums.append([], weights: [])
        sums.append([3, 4], weights: [2, -1])
        let made = try base.derived(.combined(sums))
        #expect(made.shape == [3, 3])
        let (one, two, three, four) = (row(1), row(2), row(3), row(4))
        var expected: [Float] = (0..<3).map { (one[$0] + two[$0]) / 2 }
        expected += [0, 0, 0]
        expected += (0..<3).map { 2 * three[$0] - four[$0] }
        #expect(try made.floats() == expected)
        // A part that begins and ends inside rows.
        var part = [Float](repeating: 0, count: 4)
        var room = part.mutableSpan
        try made.floats(2..<6, into: &room)
        #expect(part == Array(expected[2..<6]))
    }

    @Test func gatheredRowsKeepTheirBits() throws {
        let base = try tensor(type: .bf16)
        let made = try base.derived(.gathered([7, 3]))
        #expect(try made.firstDifference(from: .joined([base.rows(7..<8), base.rows(3..<4)])) == nil)
    }

    @Test func theMeanIsTheMean() throws {
        let base = try tensor()
        let old = try base.floats()
        let mean: [Float] = (0..<3).map { (column: Int) -> Float in
            var sum = 0.0
            for row in 2..<40 { sum += Double(old[row * 3 + column]) }
            return Float(sum / 38)
        }
        #expect(try base.derived(.mean(of: 2..<40, count: 2)).floats() == mean + mean)
    }

    /// Mean and covariance of many draws are those that were asked for, and draws do not depend on how they are read.
    @Test func drawsFromTheDistribution() throws {
        let base = try tensor()
        let old = try base.floats().map(Double.init)
        let sample = RowSample(range: 0..<40, count: 20_000, variance: 0.25, seed: 7)
        let made = try base.derived(.sampled(sample))
        let drawn = try made.floats().map(Double.init)
        func statistics(_ numbers: [Double]) -> (mean: [Double], covariance: [Double]) {
            let count = numbers.count / 3
            var (mean, covariance) = ([0.0, 0, 0], [Double](repeating: 0, count: 9))
            for place in numbers.indices { mean[place % 3] += numbers[place] / Double(count) }
            for row in 0..<count {
                for cell in 0..<9 {
                    let left = numbers[row * 3 + cell / 3] - mean[cell / 3]
                    let right = numbers[row * 3 + cell % 3] - mean[cell % 3]
                    covariance[cell] += left * right / Double(count)
                }
            }
            return (mean, covariance)
        }
        let (wanted, found) = (statistics(old), statistics(drawn))
        for (a, b) in zip(wanted.mean, found.mean) { #expect(abs(a - b) < 0.08) }
        for (a, b) in zip(wanted.covariance, found.covariance) { #expect(abs(a * 0.25 - b) < 0.25) }
        var part = [Float](repeating: 0, count: 6)
        var room = part.mutableSpan
        try made.floats(3 * 777..<3 * 779, into: &room)
        #expect(part.map(Double.init) == Array(drawn[3 * 777..<3 * 779]))
        let other = RowSample(range: 0..<40, count: 20_000, variance: 0.25, seed: 8)
        #expect(try base.derived(.sampled(other)).floats().map(Double.init) != drawn)
    }

    @Test func aManifestKeepsTheRule() throws {
        var sums = RowCombinations()
        sums.append(meanOf: [1, 2, 6])
        var weighted = sums
        weighted.append([3, 4], weights: [0.1, -1])
        let rules: [RowRule] = [
            .gathered([5, 0]), .combined(sums), .combined(weighted), .mean(of: 1..<9, count: 3),
            .sampled(RowSample(range: 0..<9, count: 3, variance: 1e-9, seed: .max)),
        ]
        for rule in rules {
            let recipe = Recipe.derived(rule, of: .zeroed(.f32, shape: [9, 2]))
            let read = try JSON(parsing: recipe.json.serialized(indent: nil), file: "surgery.json")
            #expect(try Recipe(read, ManifestReader(file: "surgery.json")) == recipe)
        }
    }

    @Test func refusesRowsThatAreNotThere() throws {
        let base = try tensor()
        for rule in [RowRule.gathered([40]), .mean(of: 0..<41, count: 1), .mean(of: 3..<3, count: 1)] {
            #expect(throws: TensorError.self) { _ = try base.derived(rule) }
        }
        let integers = try TensorExpression.stored(
            MemoryTensor(name: "i", type: .i8, shape: [2, 2], bytes: [1, 2, 3, 4]))
        #expect(throws: TensorError.self) { _ = try integers.derived(.mean(of: 0..<2, count: 1)) }
        #expect(try integers.derived(.gathered([1])).byteCount == 2)
    }
}
