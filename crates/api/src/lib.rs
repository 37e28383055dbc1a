//! The PodAutoscaler manifest: types, CRD, validation, annotations.
