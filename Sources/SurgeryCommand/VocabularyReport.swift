import CommandLineSupport
import Formats
import Surgery

/// What is told of a resized vocabulary.
struct VocabularyReport {
    let result: ResizedCheckpoint
    let learned: LearnedTokens?
    let texts: [(path: String, before: TextFigures, after: TextFigures)]

    /// For people: label and text.
    var rows: [(String, String)] {
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
        for (index, text) in figures.enumerated() {
            rows.append(
                (
                    index == 0 ? "bytes a token" : "",
                    "\(Units.fixed(text.before.bytesPerToken, digits: 2)) → \(Units.fixed(text.after.bytesPerToken, digits: 2)) (\(text.path))"
                ))
        }
        return rows
    }

    private var methods: String {
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

    /// For programs; Documentation/surgery-resize-vocab.md describes the keys.
    var details: [(String, JSON)] {
        let origins = result.origins
        return [
            (
                "tokens",
                result.tokens.map {
                    [
                        "before": JSON($0.before), "after": JSON($0.after),
                        "reached_by_typing": JSON(result.reached.typed),
                        "reached_by_merges": JSON(result.reached.merged),
                    ]
                } ?? .null
            ),
            (
                "rows",
                [
                    "before": JSON(result.rows.before), "after": JSON(result.rows.after),
                    "kept": JSON(origins.kept), "new": JSON(origins.initialized),
                    "padding": JSON(origins.padding), "dropped": JSON(origins.dropped),
                ]
            ),
            ("init", .string(result.initializations.input.rawValue)),
            ("init_output", .string(result.initializations.output.rawValue)),
            (
                "text",
                .array(
                    figures.map {
                        [
                            "path": .string($0.path), "bytes": JSON($0.before.bytes),
                            "tokens_before": JSON($0.before.tokens), "tokens_after": JSON($0.after.tokens),
                            "bytes_per_token_before": JSON($0.before.bytesPerToken),
                            "bytes_per_token_after": JSON($0.after.bytesPerToken),
                        ]
                    })
            ),
            (
                "configuration",
                .array(
                    result.changes.map {
                        ["key": .string($0.key), "before": $0.before ?? .null, "after": $0.after ?? .null]
                    })
            ),
        ]
    }
}
