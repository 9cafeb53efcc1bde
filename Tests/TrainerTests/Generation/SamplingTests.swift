import Foundation
import Testing

@testable import Trainer

@Suite struct SamplingTests {
    /// What transformers' processors leave: `Fixtures/sampling.json`.
    private struct Reference: Decodable {
        var logits: [Float]
        var cases: [Case]

        struct Case: Decodable {
            var temperature: Double
            var topK: Int?
            var topP: Double?
            var probabilities: [Double]

            enum CodingKeys: String, CodingKey {
                case temperature, probabilities
                case topK = "top_k"
                case topP = "top_p"
            }
        }
    }

    private func reference() throws -> Reference {
        try JSONDecoder().decode(
            Reference.self, from: Data(contentsOf: URL(filePath: fixture("sampling.json"))))
    }

    @Test func distributionsAreTransformers() throws {
        let reference = try reference()
        #expect(reference.cases.count == 8)
        for sample in reference.cases {
            let sampling = Sampling(temperature: sample.temperature, topK: sample.topK, topP: sample.topP)
            var found = [Double](repeating: 0, count: reference.logits.count)
            for (token, probability) in sampling.distribution(reference.logits) { found[token] = probability }
            for (found, expected) in zip(found, sample.probabilities) {
                #expect(abs(found - expected) < 1e-6 && (found == 0) == (expected == 0), "\(sampling)")
            }
        }
    }

    /// What is left, and its order, is what sorting everything gives; many logits are equal.
    @Test(arguments: [nil, 1, 2, 7, 40, 199, 200, 500], [nil, 0.001, 0.3, 0.9, 1])
    func whatIsLeftIsTheBeginningOfASort(topK: Int?, topP: Double?) {
        let logits = (0..<200).map { Float($0 * 37 % 101 / 3) / 8 - 2 }
        let sampling = Sampling(temperature: 0.7, topK: topK, topP: topP)
        var order = logits.indices.sorted { (logits[$0], $1) > (logits[$1], $0) }
        if let topK, topK < order.count {
            let least = logits[order[topK - 1]]
            order.removeAll { logits[$0] < least }
        }
        let weights = order.map { exp(Double(logits[$0]) / sampling.temperature) }
        let limit = (topP ?? 1) * weights.reduce(0, +)
        var (count, sum) = (0, 0.0)
        while count < order.count, count == 0 || topP ?? 1 >= 1 || sum < limit {
            sum += weights[count]
            count += 1
        }
        var found = sampling.distribution(logits)
        if count == logits.count {
            found.sort { (logits[$0.token], $1.token) > (logits[$1.token], $0.token) }
        }
        #expect(found.map(\.token) == Array(order[..<count]))
        for (found, weight) in zip(found, weights) { #expect(abs(found.probability - weight / sum) < 1e-12) }
    }

    @Test func tokensComeAsOftenAsTheyAreLikely() throws {
        let logits = try reference().logits
        let sampling = Sampling(temperature: 1.3, topK: 6, seed: 5)
        var sampler = TokenSampler(sampling, sequence: 2)
        var counts: [Int: Double] = [:]
        let draws = 20_000
        for _ in 0..<draws { counts[sampler.choose(logits).map { Int($0) } ?? -1, default: 0] += 1 }
        let distribution = sampling.distribution(logits)
        #expect(distribution.count == 6 && counts.count == 6)
        for (token, probability) in distribution {
            let deviation = (probability * (1 - probability) / Double(draws)).squareRoot()
            #expect(abs(counts[token, default: 0] / Double(draws) - probability) < 5 * deviation)
        }
    }

    @Test func chanceFollowsFromSeedAndSequence() throws {
        let logits = [Float](repeating: 0, count: 1_000)
        func draw(_ seed: UInt64, _ sequence: Int) -> [Int32?] {
            var sampler = TokenSampler(Sampling(temperature: 1, seed: seed), sequence: sequence)
            return (0..<8).map { _ in sampler.choose(logits) }
        }
        #expect(draw(1, 0) == draw(1, 0) && draw(1, 0) != draw(1, 1) && draw(1, 0) != draw(2, 0))
    }

    /// The first of equal ones; no token of what is no number.
    @Test func theLargestLogit() {
        var sampler = TokenSampler(Sampling(), sequence: 0)
        #expect(sampler.choose([1, 3, 2, 3]) == 1)
        #expect(sampler.choose([1, .nan, 2]) == nil && sampler.choose([1, .infinity]) == nil)
    }
}
