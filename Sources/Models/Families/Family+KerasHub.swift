/// The families as KerasHub has them: known by the class that their preset's config.json names, with paths of HDF5
/// groups for names.
extension Family {
    /// Every family of KerasHub that is known.
    static let presets: [Family] = all.flatMap { family in
        family.kerasHub.map { keras in
            Family(
                family.name + " (KerasHub)", [keras.backbone], prefixes: [keras.layer], layers: "", outer: [],
                layer: [])
        }
    }
}
