import Formats
import Foundation
import FoundationXML
import Models
import TestSupport
import Testing

@testable import Trainer

/// What is measured of layers beside whole passes of transformers, in which a layer runs once, twice or not at all.
@Suite struct LayerAnalysisTests {
    /// What `Scripts/fixtures/layer_scores.py` measured of a golden.
    private struct Reference: Decodable {
        let loss: Double
        let blockInfluence: [Double]
        let angularDistance: [[Double]], meanAngularDistance: [[Double]]
        let lossWithout: [Double], lossRepeated: [Double]
        let iterative: [String: LayerScores.Removal]

        enum CodingKeys: String, CodingKey {
            case loss, iterative
            case blockInfluence = "block_influence"
            case angularDistance = "angular_distance"
            case meanAngularDistance = "angular_distance_all_tokens"
            case lossWithout = "loss_without"
            case lossRepeated = "loss_repeated"
        }

        struct File: Decodable { let models: [String: Reference] }

        static let all: [String: Reference] = {
            let data = try? Data(contentsOf: URL(filePath: fixture("layer_scores.json")))
            return (try? JSONDecoder().decode(File.self, from: data ?? Data()).models) ?? [:]
        }()
    }

    /// A golden's rows as windows of which all tokens but the last are asked for.
    private func analysis(of golden: GoldenModel) throws -> LayerAnalysis<CPUEngine> {
        let rows = try golden.rows()
        let batch = rows.rows(0..<rows.count)
        let lasts = (1...rows.count).map { $0 * rows.length - 2 }
        return try LayerAnalysis(
            model: golden.pretrained().transformer(for: rows, nil, on: CPUEngine(threads: 2)),
            batches: [EvaluationBatch(sequences: batch, lasts: lasts)], isCancelled: { false },
            progress: { _ in })
    }

    private func expect(_ found: [Double], _ expected: [Double], within tolerance: Double, _ what: String) {
        #expect(found.count == expected.count)
        for (layer, (found, expected)) in zip(found, expected).enumerated() {
            #expect(abs(found - expected) < tolerance, "\(what), layer \(layer): \(found), \(expected)")
        }
    }

    @Test func everyGoldenHasAReference() { #expect(Reference.all.count == GoldenModel.all.count) }

    @Test(arguments: GoldenModel.all) func figuresAreThoseOfTransformers(_ golden: GoldenModel) throws {
        let reference = try #require(Reference.all[golden.name])
        let analysis = try analysis(of: golden)
        let layers = Array(analysis.model.layout.layers.indices)
        let result = try analysis.measure(layers, [.angles, .lossWithout, .lossRepeated])
        #expect(abs(result.loss.loss - reference.loss) < 1e-5)
        expect(result.cosines.blockInfluence, reference.blockInfluence, within: 1e-5, "block influence")
        for (found, expected) in [
            (result.cosines.angularDistance, reference.angularDistance),
            (result.cosines.meanAngularDistance, reference.meanAngularDistance),
        ] {
            #expect(found.map(\.count) == layers.map { layers.count - $0 })
            expect(found.flatMap(\.self), expected.flatMap(\.self), within: 1e-5, "angle")
        }
        expect(result.lossWithout, reference.lossWithout, within: 2e-5, "loss without")
        expect(result.lossRepeated, reference.lossRepeated, within: 2e-5, "loss repeated")
    }

    @Test(arguments: GoldenModel.all, RemovalMeasure.allCases)
    func layersGoInTheOrderOfTransformers(_ golden: GoldenModel, by measure: RemovalMeasure) throws {
        let expected = try #require(Reference.all[golden.name]?.iterative[measure.rawValue])
        let analysis = try analysis(of: golden)
        let first = try analysis.measure(
            Array(analysis.model.layout.layers.indices), measure == .loss ? .lossWithout : .blockInfluence)
        let removal = try analysis.removal(by: measure, to: 1, first: first)
        #expect(removal.by == measure.rawValue && removal.removed == expected.removed)
        expect(removal.scores.compactMap(\.self), expected.scores.compactMap(\.self), within: 2e-5, "score")
        expect(removal.losses.compactMap(\.self), expected.losses.compactMap(\.self), within: 2e-5, "loss")
    }

    @Test func itIsStoppedBetweenLayers() throws {
        let golden = GoldenModel(name: "llama")
        var (asked, done) = (0, 0)
        let whole = try analysis(of: golden)
        let stopped = LayerAnalysis(
            model: whole.model, batches: whole.batches,
            isCancelled: {
                asked += 1
                return asked > 3
            }, progress: { done += $0 })
        let error = #expect(throws: UserFacingError.self) { try stopped.measure([0, 1, 2], [.lossWithout]) }
        #expect(error?.isInterruption == true)
        // All three layers, those behind the first, and the one behind the second.
        #expect(done == 3 + 2 + 1)
    }

    // MARK: Requests

    private func request(_ folder: TemporaryFolder, _ text: String, tokens: Int) throws -> AnalysisRequest {
        let path = try folder.write("texts.jsonl", text)
        return AnalysisRequest(
            model: example("base"), sets: [("texts", path)], tokens: tokens, length: 32, threads: 2)
    }

    private static let texts = (0..<12).map {
        #"{"text": "Sheet \#($0) has rows, columns and cells \#($0 * $0)."}"#
    }
    .joined(separator: "\n")

    /// The loss is that of `trainer eval`; the work that was told is all there was.
    @Test func aRequestReadsWindowsAsEvaluationDoes() throws {
        let folder = try TemporaryFolder()
        var request = try request(folder, Self.texts, tokens: 100_000)
        request.removal = .loss
        var (last, total) = (0, 0)
        let scores = try request.run(progress: { (last, total) = ($0, $1) })
        #expect(last == total && total > 0)
        let evaluation = try EvaluationRequest(
            model: request.model, sets: request.sets, length: 32, threads: 2
        ).run().sets[0].result
        #expect(abs(try #require(scores.loss) - evaluation.loss) < 1e-6)
        #expect(scores.text?.tokens == evaluation.tokens && scores.text?.documents == 12)
        #expect(scores.text?.length == 32 && scores.text?.windows == 12)
        let count = try #require(scores.model?.layers)
        #expect(scores.iterative?.removed.count == count / 2 && scores.lossRepeated?.count == count)
        #expect(try scores.model?.fingerprint == Checkpoint.openModel(request.model).fingerprint())
        // What is written is what is read.
        let path = folder.path("scores.json")
        try folder.write("scores.json", Data(JSON(encoding: scores).serialized(indent: 2)))
        #expect(try LayerScores(path: path, layers: count) == scores)
    }

    /// Fewer tokens are the beginning of an order that chance decides, and a document that is cut has no end.
    @Test func tokensLimitWhatIsRead() throws {
        let folder = try TemporaryFolder()
        var request = try request(folder, Self.texts, tokens: 50)
        request.measuresLosses = false
        let few = try request.run()
        #expect(few.text?.tokens == 50 && few.text.map { $0.documents < 12 } == true)
        #expect(few.lossWithout == nil && few.lossRepeated == nil)
        #expect(try request.run() == few)
    }

    @Test(arguments: [0, 8, 9]) func removalLeavesSomeLayers(to count: Int) throws {
        let folder = try TemporaryFolder()
        var request = try request(folder, Self.texts, tokens: 50)
        request.removal = .blockInfluence
        request.remaining = count
        let error = #expect(throws: UserFacingError.self) { try request.run() }
        #expect(error?.fault == .usage && error?.message.contains("not \(count)") == true)
    }

    // MARK: The picture

    @Test func thePictureSaysWhatItShows() throws {
        var scores = LayerScores(blockInfluence: [0.25, 0.5], angularDistance: [[0.1, 0.2], [0.3]])
        scores.loss = 2
        scores.lossWithout = [3, nil]
        scores.lossRepeated = [1.5, 2.25]
        let svg = LayerChart(scores, of: "a<b&c").svg
        let parser = XMLParser(data: Data(svg.utf8))
        let reader = Reader()
        parser.delegate = reader
        #expect(parser.parse(), "\(parser.parserError.map { "\($0)" } ?? "")")
        #expect(reader.root["role"] == "img" && reader.root["aria-labelledby"] == "title description")
        #expect(reader.texts["title"]?.first == "Layers of a<b&c")
        #expect(
            reader.texts["desc"]?.first?.contains(
                "loss without it: lowest +1.000 in layer 0, highest +1.000 in layer 0. "
                    + "loss with it twice: lowest −0.500 in layer 0, highest +0.250 in layer 1.") == true)
        // The ground, and a bar for each layer and score.
        #expect(reader.counts["rect"] == 1 + 2 * 4)
        #expect(reader.texts["text"]?.contains("no number") == true)
        // Nothing comes from elsewhere.
        #expect(!svg.contains("href") && !svg.contains("url(") && svg.contains("prefers-color-scheme: dark"))
    }

    /// Notes elements and their texts.
    private final class Reader: NSObject, XMLParserDelegate {
        var root: [String: String] = [:]
        var counts: [String: Int] = [:]
        var texts: [String: [String]] = [:]
        private var text = ""

        func parser(
            _ parser: XMLParser, didStartElement name: String, namespaceURI: String?,
            qualifiedName: String?, attributes: [String: String]
        ) {
            if counts.isEmpty { root = attributes }
            counts[name, default: 0] += 1
            text = ""
        }

        func parser(_ parser: XMLParser, foundCharacters characters: String) { text += characters }

        func parser(
            _ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?
        ) {
            texts[name, default: []].append(text)
        }
    }
}
