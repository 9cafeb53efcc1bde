public import ArgumentParser
import CommandLineSupport
import Formats
public import Trainer

/// Which of the documents that nothing has dropped are chosen, as it is typed.
struct ChoiceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "What chosen documents have most of: similarity, ngrams, ngrams-mean, perplexity, bits-per-byte or entropy. Of several the mean rank counts.",
            valueName: "measure"))
    var by: [DocumentChoice.Measure] = []
    @Option(help: ArgumentHelp("Documents of the task that texts are chosen for.", valueName: "file"))
    var to: [String] = []
    @Option(help: ArgumentHelp("The key of a text in those files (as --text-key).", valueName: "key"))
    var toKey: String?
    @Option(help: ArgumentHelp("The model that measures documents.", valueName: "folder")) var model: String?
    @Option(help: ArgumentHelp("The share of the documents to choose, as 0.1.", valueName: "share"))
    var share: Double?
    @Option(
        help: ArgumentHelp(
            "What to choose of text, as 50MB or 2Mtokens; what doesn't fit is passed over.", valueName: "size"
        ))
    var budget: String?
    @Option(
        help: ArgumentHelp(
            "The key of a document's tags, whose entropy --by entropy takes (default: of classes of characters).",
            valueName: "key"))
    var tagsField: String?
    @Option(
        help: ArgumentHelp(
            "The key of a document's date; a dot leads into an object inside.", valueName: "key"))
    var dateField: String?
    @Option(help: ArgumentHelp("Keep documents from this day, month or year on.", valueName: "2024-05-17"))
    var since: String?
    @Option(help: ArgumentHelp("Keep documents up to the end of this day, month or year.", valueName: "2024"))
    var until: String?
    @Option(
        help: ArgumentHelp(
            "Halve a document's weight with so many days before --until, or before the newest document.",
            valueName: "days"))
    var halfLife: Double?
    @Option(
        help: ArgumentHelp(
            "Spread what is chosen over so many clusters of the documents' embeddings: they take turns.",
            valueName: "count"))
    var clusters: Int?
    @Option(
        help: ArgumentHelp("Spread it over the values of this key of documents' lines.", valueName: "key"))
    var topicField: String?
    @Option(
        help: ArgumentHelp(
            "Take what is relevant and unlike what was taken: the weight of relevance, 0 to 1 (maximal marginal relevance).",
            valueName: "weight"))
    var mmr: Double?
    @Flag(help: "Draw documents, each the sooner the larger its weight; without --by all alike.") var sample =
        false
    @Option(
        help: ArgumentHelp(
            "What a draw, clusters, templates and the cap on synthetic text follow from (0).",
            valueName: "number"
        ))
    var seed: UInt64?
}

extension SelectionJob {
    /// Takes over which documents are chosen.
    mutating func take(_ choosing: ChoiceOptions) {
        (by, to, toKey, model) = (choosing.by, choosing.to, choosing.toKey, choosing.model)
        (share, budget, tagsField) = (choosing.share, choosing.budget, choosing.tagsField)
        (dateField, since, until) = (choosing.dateField, choosing.since, choosing.until)
        (halfLife, clusters, topicField) = (choosing.halfLife, choosing.clusters, choosing.topicField)
        (mmr, sample, seed) = (choosing.mmr, choosing.sample, choosing.seed)
    }
}

extension DocumentChoice.Measure: ExpressibleByArgument {}
