public import ArgumentParser
import CommandLineSupport
import Formats
import Models
public import Trainer

struct Analyze: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "analyze",
        abstract:
            "Measure what each layer of a model does on text, to choose which to leave out or to repeat.",
        discussion: """
            Of each layer: block influence, 1 − the mean cosine between what enters it and what leaves it (ShortGPT, arXiv \
            2403.03853); the loss without it; the loss with it twice. Of each block of neighbouring layers: the angle between what \
            enters it and what leaves it, in parts of π (arXiv 2403.17887), of the last token of each window as that paper \
            has it, and of all tokens. Windows are those of trainer eval.

              trainer analyze my-model --data english.jsonl -o scores.json --svg layers.svg
              surgery prune my-model --to 24 --scores scores.json

            \(TextArguments.files) Documents are taken in an order that chance decides, the same always.

            With --json: what -o writes: "model", "text", "loss", "block_influence", "angular_distance", \
            "angular_distance_all_tokens", "loss_without", "loss_repeated", "iterative".
            """)

    @Argument(help: "The model's folder.") var model = "."
    @Option(
        name: .customLong("data"), parsing: .upToNextOption,
        help: ArgumentHelp("Documents, or tokens that tokenize packed.", valueName: "[name=]file"),
        transform: TextSource.unweighted)
    var sets: [TextSource] = []
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Write the scores to this file, for surgery prune --scores.", valueName: "file"))
    var output: String?
    @Option(help: ArgumentHelp("Draw the scores in this file.", valueName: "file.svg")) var svg: String?
    @Option(
        help: ArgumentHelp(
            "At most so many tokens are read, the same number of each set.", valueName: "count"))
    var tokens = AnalysisRequest.usualTokens
    @Option(
        help: ArgumentHelp(
            "Tokens of a window (default: 512, or fewer if the model sees fewer).", valueName: "tokens"))
    var length: Int?
    @Flag(
        help:
            "Leave out the losses without and with each layer twice, which take as long as about as many evaluations as there are layers."
    ) var noLosses = false
    @Flag(help: "Leave out one layer after the other as well, all that are left measured anew after each.")
    var iterative = false
    @Option(help: "What tells which layer goes next. (default: block-influence)") var by: RemovalMeasure?
    @Option(
        help: ArgumentHelp("How many layers --iterative leaves (default: half of them).", valueName: "count"))
    var to: Int?
    @Flag(help: "Replace outputs.") var force = false
    @OptionGroup(title: "Reading of text") var text: TextArguments
    @OptionGroup var ends: EndOptions
    @OptionGroup var compute: ComputeOptions
    @Flag(help: "Print one JSON object on standard output.") var json = false

    func validate() throws {
        guard !sets.isEmpty else { throw ValidationError("give text to measure on: --data FILE") }
        guard tokens > 0 else { throw ValidationError("--tokens must be at least 1, not \(tokens)") }
        if let length, length < 1 { throw ValidationError("--length must be at least 1, not \(length)") }
        guard iterative || by == nil && to == nil else {
            throw ValidationError("--by and --to go with --iterative")
        }
        if let output, let svg, Path.absolute(output) == Path.absolute(svg) {
            throw ValidationError("-o and --svg name the same file; give two")
        }
        guard !force || output != nil || svg != nil else {
            throw ValidationError("--force goes with -o or --svg")
        }
        try refuseModels(among: sets.map(\.path))
    }

    func run() throws {
        try runReportingErrors {
            for path in [output, svg].compactMap(\.self) where !force && FileSystem.kind(of: path) != nil {
                throw ValidationError("\(path) exists; give another name, or --force to replace it")
            }
            for path in [output, svg].compactMap(\.self) {
                try TextPaths.check(path, apartFrom: sets.map(\.path) + [model])
            }
            Interruption.watch()
            var request = AnalysisRequest(
                model: model, sets: sets.map { ($0.name, $0.path) }, text: text.options,
                endOfText: ends.endOfText, tokens: tokens, length: length ?? 0,
                threads: compute.count)
            request.measuresLosses = !noLosses
            request.removal = iterative ? by ?? .blockInfluence : nil
            request.remaining = to
            // Begun before, so that a place where nothing can be written is told at once.
            let files = try [output, svg].map { try $0.map { try AtomicFile(path: $0) } }
            let scores = try measure(request)
            let name = Path.name(Path.absolute(model))
            try files[0]?.publish(JSON(encoding: scores).serialized(indent: 2) + [UInt8(ascii: "\n")])
            try files[1]?.publish(Array(LayerChart(scores, of: name).svg.utf8))
            show(scores)
            for path in [output, svg].compactMap(\.self) { report("wrote \(path)") }
            if json { printJSON(try JSON(encoding: scores)) }
        }
    }

    private func measure(_ request: AnalysisRequest) throws -> LayerScores {
        var line = ProgressLine()
        defer { line.clear() }
        // The clock begins with the first work that is told, when the model has been read.
        var start: (meter: ProgressMeter, done: Int)?
        return try request.run(isCancelled: { Interruption.signal != nil }, warn: { warn($0) }) {
            done, total in
            let begun = start ?? (ProgressMeter(), done)
            start = begun
            let left = begun.meter.secondsLeft(done: done - begun.done, of: total - begun.done)
            line.update(
                "measuring: \(done * 100 / max(1, total)) %"
                    + (left.map { ", \(Units.duration(seconds: $0)) left" } ?? ""))
        }
    }
}

extension Analyze {
    private func show(_ scores: LayerScores) {
        let rows = AnalysisTables(scores)
        report(rows.layers)
        report("")
        report(rows.blocks)
        if let iterative = rows.iterative { report("\n" + iterative) }
        report("")
        if let text = scores.text, let loss = scores.loss {
            report(
                "read \(Units.grouped(text.tokens)) tokens of \(Units.grouped(text.documents)) documents in "
                    + "\(Units.grouped(text.windows)) windows; loss \(Units.fixed(loss, digits: 4))")
        }
        for line in rows.orders { report(line) }
    }
}

/// What was measured, as tables for people.
private struct AnalysisTables {
    let scores: LayerScores

    init(_ scores: LayerScores) { self.scores = scores }

    /// A line a layer.
    var layers: String {
        var columns = ["block influence", "angle"]
        if scores.lossWithout != nil { columns += ["loss without", "rise"] }
        if scores.lossRepeated != nil { columns += ["loss repeated", "rise"] }
        var table = Table(columns: (["layer"] + columns).map { ($0, .right) })
        for layer in scores.blockInfluence.indices {
            var row = [
                String(layer), Units.fixed(scores.blockInfluence[layer], digits: 4),
                scores.angularDistance.first.map { Units.fixed($0[layer], digits: 4) } ?? "",
            ]
            for losses in [scores.lossWithout, scores.lossRepeated] {
                if let losses { row += figures(losses[layer]) }
            }
            table.add(row)
        }
        return table.description
    }

    /// Of each length the block that turns least, as surgery prune --by angular-distance takes it.
    var blocks: String {
        var table = Table(columns: [
            ("block of", .right), ("layers", .right), ("angle", .right), ("all tokens", .right),
        ])
        for (index, angles) in scores.angularDistance.enumerated()
        where index < (scores.blockInfluence.count + 1) / 2 {
            let before = angles.dropLast()
            guard let first = before.indices.min(by: { before[$0] < before[$1] }) else { continue }
            table.add(
                String(index + 1), index == 0 ? "\(first)" : "\(first)–\(first + index)",
                Units.fixed(before[first], digits: 4),
                scores.meanAngularDistance.map { Units.fixed($0[index][first], digits: 4) } ?? "")
        }
        return table.description
    }

    /// Layers left out one after the other.
    var iterative: String? {
        guard let removal = scores.iterative else { return nil }
        var table = Table(columns: [
            ("layers left", .right), ("left out", .right), (removal.by, .right), ("loss", .right),
            ("rise", .right),
        ])
        for (index, layer) in removal.removed.enumerated() {
            table.add(
                [
                    String(scores.blockInfluence.count - index - 1), String(layer),
                    removal.scores[index].map { Units.fixed($0, digits: 4) } ?? "no number",
                ] + figures(removal.losses[index]))
        }
        return table.description
    }

    /// The layers in the order of what their absence or repetition costs.
    var orders: [String] {
        [
            ("least block influence first", scores.blockInfluence.map { $0 as Double? }),
            ("cheapest to leave out first", scores.lossWithout),
            ("cheapest to repeat first", scores.lossRepeated),
        ].compactMap { title, values in
            guard let values = values?.map({ $0 ?? .infinity }) else { return nil }
            let order = values.indices.sorted { (values[$0], $0) < (values[$1], $1) }
            return "\(title): \(order.map(String.init).joined(separator: ", "))"
        }
    }

    private func figures(_ loss: Double?) -> [String] {
        guard let loss, let whole = scores.loss else { return ["no number", ""] }
        let rise = loss - whole
        return [
            Units.fixed(loss, digits: 4), (rise < 0 ? "−" : "+") + Units.fixed(rise.magnitude, digits: 4),
        ]
    }
}

extension RemovalMeasure: ExpressibleByArgument {}
