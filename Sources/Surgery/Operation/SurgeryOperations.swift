/// All operations there are: what commands, recipes and manifests iterate.
public enum SurgeryOperations {
    /// Every operation, in the order in which help pages name them.
    public static let all: [any SurgeryOperation.Type] = [
        DepthUpScaling.self, LayerArrangement.self, Expansion.self, Pruning.self, VocabularyChange.self,
        Conversion.self, Restoration.self, Averaging.self, Merge.self,
    ]
}
