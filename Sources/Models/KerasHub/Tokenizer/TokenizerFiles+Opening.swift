public import Formats

extension TokenizerFiles {
    /// Opens a tokenizer's files in a folder; those of a KerasHub preset in Hugging Face's terms.
    ///
    /// - Throws: ``UserFacingError`` when there is no such folder or no tokenizer.json, or it is of a class that is not known.
    public static func open(_ folder: String) throws(UserFacingError) -> TokenizerFiles {
        let folder = try HubCache.path(of: folder)
        guard FileSystem.kind(of: folder) != nil else { throw .nothingThere(path: folder) }
        var auxiliaryFiles: [AuxiliaryFile] = []
        for name in names + KerasTokenizer.assetNames
        where FileSystem.kind(of: Path.join(folder, name)) == .file {
            let file = try InputFile(path: Path.join(folder, name))
            auxiliaryFiles.append(AuxiliaryFile(name: name, content: .file(file)))
        }
        guard auxiliaryFiles.contains(where: { $0.name == "tokenizer.json" }) else {
            throw .noTokenizer(path: folder)
        }
        if let keras = try KerasTokenizer(of: auxiliaryFiles, path: folder) {
            return try keras.huggingFace().files
        }
        return TokenizerFiles(of: auxiliaryFiles, path: folder)
    }
}
