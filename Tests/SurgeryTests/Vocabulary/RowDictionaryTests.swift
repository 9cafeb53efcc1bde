import Formats
import Testing

@testable import Surgery

@Suite("Writing rows as sums of others")
struct RowDictionaryTests {
    /// Twenty directions of 18 numbers that are neither orthogonal nor of length 1.
    private let rows: [Float] = (0..<20 * 18).map { (place: Int) -> Float in
        Float(place * 7919 % 211 - 105) / 40
    }

    private func sum(_ terms: [RowDictionary.Term]) -> [Float] {
        (0..<18).map { (column: Int) -> Float in
            terms.reduce(Float(0)) { $0 + $1.weight * rows[$1.atom * 18 + column] }
        }
    }

    @Test func aPursuitFindsASumOfFew() {
        let dictionary = RowDictionary(rows: rows, width: 18)
        let target = sum([.init(atom: 3, weight: 2), .init(atom: 11, weight: -0.5)])
        let terms = dictionary.pursuit(of: target, count: 18)
        for (found, wanted) in zip(sum(terms), target) { #expect(abs(found - wanted) < 1e-3) }
        // What is left grows no larger with another direction, and is orthogonal to all that were taken.
        var last = Float.infinity
        let other: [Float] = (0..<18).map { (place: Int) -> Float in Float(place * 31 % 17 - 8) }
        for count in 1...10 {
            let terms = dictionary.pursuit(of: other, count: count)
            #expect(Set(terms.map { $0.atom }).count == count)
            let residual: [Float] = zip(other, sum(terms)).map { $0 - $1 }
            let size: Float = residual.reduce(0) { $0 + $1 * $1 }
            #expect(size <= last + 1e-3)
            last = size
            for term in terms {
                var product: Float = 0
                for column in 0..<18 { product += residual[column] * rows[term.atom * 18 + column] }
                #expect(abs(product) < 1e-3)
            }
        }
    }

    @Test func theNearestCountAsMuchAsTheirCosine() {
        let dictionary = RowDictionary(rows: [2, 0, 0, 3, -1, -1], width: 2)
        #expect(dictionary.nearest(to: [1, 0], count: 1) == [.init(atom: 0, weight: 1)])
        let both = dictionary.nearest(to: [3, 1], count: 2)
        #expect(both.map { $0.atom } == [0, 1])
        #expect(abs(both[0].weight - 0.75) < 1e-6)
    }
}
