internal import Formats
internal import OrderedCollections

extension TrainingJob {
    /// What to tell of files that are named more than once, a sentence each: by two sources of a stage, and by a set and a
    /// source, so that the set is no measure of what was learned.
    var sharedTexts: [String] {
        var sentences: OrderedSet<String> = []
        for stage in stageJobs {
            for (place, source) in stage.sources.enumerated() {
                for other in stage.sources.dropFirst(place + 1) {
                    guard let file = TextPaths.shared(by: source.path, and: other.path) else { continue }
                    sentences.append(
                        """
                        '\(source.name)' and '\(other.name)' both read \(file), so it is shown for the share of each; \
                        leave it out of one of them
                        """)
                }
                for set in eval {
                    guard let file = TextPaths.shared(by: set.path, and: source.path) else { continue }
                    sentences.append(
                        """
                        the set '\(set.name)' reads \(file), which is trained on, so it tells what was learned by heart; \
                        evaluate on text that is held out
                        """)
                }
            }
        }
        return Array(sentences)
    }
}
