internal import Formats

/// What is told of a resized vocabulary.
struct VocabularyReport {
    let result: ResizedCheckpoint
    let learned: LearnedTokens?
    /// What a probe has found; nil where none was asked for, or a dry run has not trained.
    let table: InitializationTable?
    /// Whether only a probe will tell how rows begin.
    let isOpen: Bool
    let texts: [(path: String, before: TextFigures, after: TextFigures)]

    /// For people.
    var lines: [Outcome.Line] {
        var rows: [(String, String)] = []
        if let tokens = result.tokens {
            let new = result.reached.typed + result.reached.merged
            let reach = new > 0 ? "; \(Units.grouped(new)) new, all of them reachable" : ""
            let merged =
                result.reached.merged > 0 ? " (\(result.reached.merged) through the merges only)" : ""
            rows.append(
                (
                    "tokens",
                    "\(Units.grouped(tokens.before)) → \(Units.grouped(tokens.after))\(reach)\(merged)"
                ))
        }
        let origins = result.origins
        rows.append(
            (
                "rows",
                "\(Units.grouped(result.rows.before)) → \(Units.grouped(result.rows.after)): "
                    + "\(Units.grouped(origins.kept)) kept, \(Units.grouped(origins.initialized)) new, "
                    + "\(Units.grouped(origins.padding)) without a token"
                    + (origins.dropped > 0
                        ? "; \(Units.grouped(origins.dropped)) of the source's dropped" : "")
            ))
        if origins.initialized + origins.padding > 0 { rows.append(("new rows", methods)) }
        rows += (table?.lines ?? []).map { ($0.label, $0.text) }
        for (index, text) in figures.enumerated() {
            rows.append(
                (
                    index == 0 ? "bytes a token" : "",
                    "\(Units.fixed(text.before.bytesPerToken, digits: 2)) → \(Units.fixed(text.after.bytesPerToken, digits: 2)) (\(text.path))"
                ))
        }
        return rows.map { Outcome.Line(label: $0.0, text: $0.1) }
    }

    private var methods: String {
        if isOpen { return "as the probe will find best" }
        let methods = result.initializations
        return methods.input == methods.output
            ? methods.input.rawValue
            : "\(methods.input.rawValue), of the output head \(methods.output.rawValue)"
    }

    private var figures: [(path: String, before: TextFigures, after: TextFigures)] {
        guard let learned else { return texts }
        let corpus = (
            path: "corpus", before: TextFigures(bytes: learned.textBytes, tokens: learned.tokensBefore),
            after: TextFigures(bytes: learned.textBytes, tokens: learned.tokensAfter)
        )
        return [corpus] + texts
    }

    /// For programs and the manifest; Documentation/surgery-resize-vocab.md describes the keys.
    var facts: JSONObject {
        var facts = result.facts
        if isOpen { (facts["init"], facts["init_output"]) = ("auto", "auto") }
        if let table { facts["init_probe"] = table.facts }
        facts["text"] = .array(
            figures.map {
                [
                    "path": .string($0.path), "bytes": JSON($0.before.bytes),
                    "tokens_before": JSON($0.before.tokens), "tokens_after": JSON($0.after.tokens),
                    "bytes_per_token_before": JSON($0.before.bytesPerToken),
                    "bytes_per_token_after": JSON($0.after.bytesPerToken),
                ]
            })
        return facts
    }
}

extension ResizedCheckpoint {
    /// What followed, for programs and the manifest.
    var facts: JSONObject {
        var facts = JSONObject()
        facts["tokens"] =
            tokens.map {
                [
                    "before": JSON($0.before), "after": JSON($0.after),
                    "reached_by_typing": JSON(reached.typed), "reached_by_merges": JSON(reached.merged),
                ]
            } ?? .null
        facts["rows"] = [
            "before": JSON(rows.before), "after": JSON(rows.after), "kept": JSON(origins.kept),
            "new": JSON(origins.initialized), "padding": JSON(origins.padding),
            "dropped": JSON(origins.dropped),
        ]
        facts["new_rows"] = .array(newRows.map { [JSON($0.lowerBound), JSON($0.upperBound)] })
        facts["init"] = .string(initializations.input.rawValue)
        facts["init_output"] = .string(initializations.output.rawValue)
        return facts
    }
}
