// SPDX-License-Identifier: Apache-2.0
// Nothing but the precompiled header, which the modules reuse (cmake/modules.cmake).
